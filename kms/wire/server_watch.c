/* SPDX-License-Identifier: Apache-2.0 */
/* What those who run the service ask: is it well, and with what is it busy? */
#include "kms/wire/server_internal.h"

enum MHD_Result server_health(struct MHD_Connection *connection)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(3, (void *)(uintptr_t) "ok\n", MHD_RESPMEM_PERSISTENT);
	enum MHD_Result result;

	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, "Content-Type", "text/plain");
	result = MHD_queue_response(connection, MHD_HTTP_OK, r);
	MHD_destroy_response(r);
	return result;
}

enum MHD_Result server_metrics(struct wire_server *s, struct MHD_Connection *connection)
{
	struct metrics_now now = {.active = atomic_load(&s->active), .started = s->started};
	struct text out AUTO_TEXT;
	struct MHD_Response *r;
	enum MHD_Result result;

	pthread_mutex_lock(&s->lock);
	now.connections = s->peer_count;
	pthread_mutex_unlock(&s->lock);
	text_init(&out, 256 * 1024);
	metrics_write(s->metrics, &now, &out);
	r = text_end(&out) == ERR_OK
		    ? MHD_create_response_from_buffer(out.len, (void *)(uintptr_t)text_str(&out), MHD_RESPMEM_MUST_COPY)
		    : NULL;
	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, "Content-Type", "text/plain; version=0.0.4");
	result = MHD_queue_response(connection, MHD_HTTP_OK, r);
	MHD_destroy_response(r);
	return result;
}
