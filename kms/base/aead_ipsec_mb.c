/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/aead.h"

#ifndef HAVE_IPSEC_MB

const struct aead_impl *aead_ipsec_mb(void)
{
	return NULL;
}

#else

#include "kms/base/secret.h"

#include <intel-ipsec-mb.h>
#include <pthread.h>

/*
 * intel-ipsec-mb's direct GCM functions. Its header lets one manager belong to one thread because of the job queue; the
 * direct functions are called through the manager's table and get only the arguments below, so one manager, never
 * written after it was set up, serves all threads.
 */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static IMB_MGR *mgr; /* NULL: not on this processor; kept for the life of the process */

/* The vector loads want cache lines; secret_alloc() aligns blocks of this size to them. */
struct aead_key {
	struct gcm_key_data data;
};
_Static_assert(sizeof(struct aead_key) >= 64, "secret_alloc() aligns to 64 bytes from this size on");

/* Without AVX-512 the library has only the instructions that OpenSSL uses too, and is no faster (1045 ns a chunk). */
static int is_faster_here(const IMB_MGR *m)
{
	const uint64_t needed = IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ;

	return m->used_arch == IMB_ARCH_AVX512 && (m->features & needed) == needed;
}

static void set_up(void)
{
	IMB_MGR *m = alloc_mb_mgr(0);
	IMB_ARCH arch;

	if (!m)
		return;
	init_mb_mgr_auto(m, &arch);
	if (imb_get_errno(m) == 0 && is_faster_here(m))
		mgr = m;
	else
		free_mb_mgr(m);
}

static struct aead_key *key_new(void)
{
	return secret_alloc(sizeof(struct aead_key));
}

static void key_free(struct aead_key *k)
{
	secret_free(k);
}

static enum err key_set(struct aead_key *k, const uint8_t key[AEAD_KEY_SIZE])
{
	IMB_AES256_GCM_PRE(mgr, key, &k->data);
	return ERR_OK;
}

static enum err seal(struct aead_key *k, const uint8_t nonce[AEAD_NONCE_SIZE], const void *aad, size_t aad_len,
	const void *in, size_t len, void *out, uint8_t ret_tag[AEAD_TAG_SIZE])
{
	struct gcm_context_data ctx;

	IMB_AES256_GCM_ENC(mgr, &k->data, &ctx, out, in, len, nonce, aad, aad_len, ret_tag, AEAD_TAG_SIZE);
	secret_wipe(&ctx, sizeof(ctx));
	return ERR_OK;
}

static enum err open_(struct aead_key *k, const uint8_t nonce[AEAD_NONCE_SIZE], const void *aad, size_t aad_len,
	const void *in, size_t len, const uint8_t tag[AEAD_TAG_SIZE], void *out)
{
	struct gcm_context_data ctx;
	uint8_t computed[AEAD_TAG_SIZE];
	int same;

	IMB_AES256_GCM_DEC(mgr, &k->data, &ctx, out, in, len, nonce, aad, aad_len, computed, AEAD_TAG_SIZE);
	same = secret_equal(computed, tag, AEAD_TAG_SIZE);
	secret_wipe(&ctx, sizeof(ctx));
	/* The right tag of a forged message must not stay behind for whoever reads this stack next. */
	secret_wipe(computed, sizeof(computed));
	if (same)
		return ERR_OK;
	secret_wipe(out, len);
	return err_fail(ERR_TAMPERED, "an AES-GCM tag does not verify");
}

const struct aead_impl *aead_ipsec_mb(void)
{
	static const struct aead_impl impl = {"ipsec-mb", 1, key_new, key_free, key_set, seal, open_};

	pthread_once(&once, set_up);
	return mgr ? &impl : NULL;
}

#endif
