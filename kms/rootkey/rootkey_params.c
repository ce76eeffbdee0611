/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/bytes.h"
#include "kms/rootkey/rootkey.h"

#include <assert.h>

enum { VERSION = 1 };

void rootkey_params_encode(const struct rootkey_params *params, uint8_t out[ROOTKEY_PARAMS_SIZE])
{
	struct writer w;

	writer_init(&w, out, ROOTKEY_PARAMS_SIZE);
	writer_u8(&w, VERSION);
	writer_u8(&w, (uint8_t)params->kind);
	writer_u16(&w, 0);
	writer_put(&w, params->salt, ROOTKEY_SALT_SIZE);
	writer_u64(&w, params->scrypt.n);
	writer_u32(&w, params->scrypt.r);
	writer_u32(&w, params->scrypt.p);
	assert(!w.overflow && w.used == ROOTKEY_PARAMS_SIZE);
}

static enum err check_head(uint8_t version, uint8_t kind)
{
	if (version != VERSION || (kind != ROOTKEY_KIND_SCRYPT && kind != ROOTKEY_KIND_HKDF))
		return err_fail(ERR_UNSUPPORTED,
			"root key parameters of version %u, kind %u: a newer signetfs made them", version, kind);
	return ERR_OK;
}

static enum err check_cost(const struct rootkey_params *p)
{
	if (p->kind == ROOTKEY_KIND_SCRYPT)
		return kdf_scrypt_check(&p->scrypt);
	if (p->scrypt.n || p->scrypt.r || p->scrypt.p)
		return err_fail(ERR_FORMAT, "root key parameters of a key file with a cost");
	return ERR_OK;
}

enum err rootkey_params_decode(const void *buf, size_t len, struct rootkey_params *ret)
{
	struct rootkey_params p = {.kind = ROOTKEY_KIND_SCRYPT};
	struct reader r;
	uint8_t version, kind;

	reader_init(&r, buf, len);
	TRY(reader_u8(&r, &version));
	TRY(reader_u8(&r, &kind));
	TRY(check_head(version, kind));
	p.kind = (enum rootkey_kind)kind;
	TRY(reader_zeros(&r, 2));
	TRY(reader_copy(&r, p.salt, ROOTKEY_SALT_SIZE));
	TRY(reader_u64(&r, &p.scrypt.n));
	TRY(reader_u32(&r, &p.scrypt.r));
	TRY(reader_u32(&r, &p.scrypt.p));
	TRY(reader_end(&r));
	TRY(check_cost(&p));
	*ret = p;
	return ERR_OK;
}
