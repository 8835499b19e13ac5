/** Reads everything that is stored, in every table, as a reader would see it. */
import { Writable } from 'node:stream'
import { sql } from 'kysely'
import { db } from '../support/ringback.ts'

/** Every row of every table, including the queue, as text. Bytes are decoded too. */
export const everyRow = async (): Promise<{ table: string; row: string }[]> => {
  const { rows: tables } = await sql<{ name: string }>`
    select format('%I.%I', schemaname, tablename) as name from pg_tables
    where schemaname in ('public', 'graphile_worker')`.execute(db)
  const all: { table: string; row: string }[] = []
  for (const { name } of tables) {
    const { rows } = await sql<{
      row: string
    }>`select t::text as row from ${sql.raw(name)} t`.execute(db)
    for (const { row } of rows) all.push({ table: name, row: decoded(row) })
  }
  return all
}

const decoded = (row: string): string =>
  row +
  [...row.matchAll(/\\x((?:[0-9a-f]{2})+)/g)]
    .map(([, hex = '']) => ` ${Buffer.from(hex, 'hex').toString('utf8').replaceAll('\0', '')}`)
    .join('')

/** The rows that contain a number, with any separators and prefix, or in base64. */
export const rowsWith = async (e164: string): Promise<string[]> => {
  const subscriber = e164.replace(/^\+97[02]/, '')
  const base64 = Buffer.from(e164.slice(1)).toString('base64').replace(/=+$/, '')
  return (await everyRow())
    .filter(
      ({ row }) =>
        row.replace(/%2[0-9a-f]|[\s().+/_\p{Pd}\p{Cf}]/giu, '').includes(subscriber) ||
        row.normalize('NFKC').includes(subscriber) ||
        row.includes(base64),
    )
    .map(({ table, row }) => `${table}: ${row.slice(0, 300)}`)
}

/** The rows that contain a word, plain or escaped as in JSON. */
export const rowsSaying = async (word: string): Promise<string[]> => {
  const escaped = JSON.stringify(word)
    .slice(1, -1)
    .replace(/[^\x20-\x7e]/g, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return (await everyRow())
    .filter(({ row }) => row.includes(word) || row.includes(escaped))
    .map(({ table, row }) => `${table}: ${row.slice(0, 300)}`)
}

/** The transaction that wrote each row of a business last. */
export const writtenBy = async (tenantId: string): Promise<Record<string, unknown>> => {
  const { rows } = await sql<{ xmins: Record<string, unknown> }>`
    select jsonb_build_object(
      'raw_cdrs', (select jsonb_agg(xmin::text order by id) from raw_cdrs where tenant_id = ${tenantId}),
      'missed_calls', (select jsonb_agg(xmin::text order by id) from missed_calls where tenant_id = ${tenantId}),
      'leads', (select jsonb_agg(xmin::text order by id) from leads where tenant_id = ${tenantId}),
      'lead_identities', (select jsonb_agg(xmin::text order by identity) from lead_identities where tenant_id = ${tenantId}),
      'lead_conversations', (select jsonb_agg(xmin::text order by id) from lead_conversations where tenant_id = ${tenantId}),
      'messages', (select jsonb_agg(xmin::text order by id) from messages where tenant_id = ${tenantId}),
      'whatsapp_events', (select jsonb_agg(xmin::text order by id) from whatsapp_events where tenant_id = ${tenantId}),
      'rejected_deliveries', (select jsonb_agg(xmin::text order by id) from rejected_deliveries where tenant_id = ${tenantId}),
      'opt_outs', (select jsonb_agg(xmin::text order by id) from opt_outs where tenant_id = ${tenantId}),
      'alerts', (select jsonb_agg(xmin::text order by id) from alerts where tenant_id = ${tenantId})
    ) as xmins`.execute(db)
  return rows[0]?.xmins ?? {}
}

/** The rows of each table, with the keys that recognise a repeat. */
export const keysKept = async () => {
  const { rows } = await sql<Record<string, unknown>>`
    select (select json_agg(json_build_array(call_id, encode(content_hash, 'hex'), deliveries) order by id) from raw_cdrs) as records,
           (select json_agg(json_build_array(tenant_id, call_id) order by id) from missed_calls where source = 'voicenter') as calls,
           (select json_agg(json_build_array(lead_conversation_id, kind) order by id) from messages) as messages,
           (select json_agg(encode(content_key, 'hex') order by id) from whatsapp_events) as events,
           (select json_agg(encode(body_hash, 'hex') order by id) from rejected_deliveries) as refused`.execute(
    db,
  )
  return rows[0]
}

/** A stream that keeps what is written to it. */
export const collector = () => {
  const chunks: Buffer[] = []
  const out = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      chunks.push(chunk)
      done()
    },
  })
  return { out, bytes: () => Buffer.concat(chunks) }
}
