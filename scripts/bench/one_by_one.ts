/**
 * The same promise kept in the plain way: one transaction for each request, over ten connections. The statements
 * are prepared once for each connection, as is usual where speed matters.
 */
import pg from 'pg'
import { MAX_ATTEMPTS } from '../../app/db/jobs.ts'
import { startPlainWeb } from './plain_web.ts'

const INSERT = `
  insert into raw_cdrs as r (token_tenant_id, tenant_id, source, call_id, root_call_id, payload, body, content_hash)
  values ($1, $1, 'push', $2, $3, $4, $5, $6)
  on conflict on constraint raw_cdrs_same_record do update set deliveries = r.deliveries + 1
  returning xmax = 0 as is_new`
const ADD_JOB = `
  select id from graphile_worker.add_job(
    'voicenter_cdr', payload := $1::json, job_key := $2::text, max_attempts := $3::int)`

const tenantId = process.env['TENANT_ID']
const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'], max: 10 })

startPlainWeb(async ({ callId, rootCallId, payload, body, hash }) => {
  const client = await pool.connect()
  try {
    await client.query('begin')
    const { rows } = await client.query<{ is_new: boolean }>({
      name: 'insert',
      text: INSERT,
      values: [tenantId, callId, rootCallId, payload.toString(), body, hash],
    })
    if (rows[0]?.is_new)
      await client.query({
        name: 'add_job',
        text: ADD_JOB,
        values: [JSON.stringify({ callId }), `voicenter_cdr:${callId}`, MAX_ATTEMPTS.voicenter_cdr],
      })
    await client.query('commit')
    client.release()
  } catch (error) {
    client.release(true)
    throw error
  }
})
