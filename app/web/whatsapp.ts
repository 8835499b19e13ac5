import { type RequestHandler, Router } from 'express'
import { type RawBuilder, sql } from 'kysely'
import { createHmac, timingSafeEqual } from 'node:crypto'
import { dedupe } from '../batcher.ts'
import { config } from '../config.ts'
import { appSecretOwner, decrypt, sha256 } from '../crypto.ts'
import { EVENT_LANE, jobSpec } from '../db/jobs.ts'
import { webDb } from '../db/kysely.ts'
import { retryStatement } from '../db/retry.ts'
import { STORE_TIMEOUT_MS, withTimeout } from '../errors.ts'
import { failpoint } from '../failpoints.ts'
import { canonical, readJson, storable } from '../json.ts'
import { log } from '../log.ts'
import { contentKey } from '../whatsapp/event_keys.ts'
import { personIdsIn, type Update, updatesIn } from '../whatsapp/webhook.ts'
import { addressCounter, addressKey } from './addresses.ts'
import { measureAnswers } from './monitoring.ts'
import { bodyMemory, readRawBody } from './raw_body.ts'

/**
 * /webhooks/whatsapp: Meta reports messages from people and the states of our messages. If the body is signed, each update
 * in it is stored with its job, and then the body is acknowledged. Without a 200, Meta sends it again for days.
 */
export const whatsapp = Router()

const PATH = '/webhooks/whatsapp'

/**
 * Meta sends up to 3 MB (Meta, "Webhooks: payload size"). The signature can only be checked when the body has arrived. So
 * this memory is separate from that of the call records, and bodies from an address that has not sent a signed one within
 * the last hour have a memory of their own. If someone fills it, Meta tries again for days.
 */
const LIMIT_MB = 4
const provenMemory = bodyMemory({ roomMb: 8, senderMb: 6 })
const unprovenMemory = bodyMemory({ roomMb: 5, senderMb: 5 })

/** Addresses that sent a signed body. */
const proven = addressCounter({ windowMs: 60 * 60 * 1000 })

const readUpdateBody = readRawBody({
  limitMb: LIMIT_MB,
  shareOf: ({ ip }) => ({
    memory: proven.count(ip) > 0 ? provenMemory : unprovenMemory,
    sender: addressKey(ip),
  }),
})

/** Meta's verification, when the URL is entered in its dashboard. Without a verify token nothing is verified. */
whatsapp.get(PATH, async (req, res) => {
  const { 'hub.mode': mode, 'hub.verify_token': token, 'hub.challenge': challenge } = req.query
  const expected = config().WHATSAPP_VERIFY_TOKEN
  const isKnown =
    typeof token === 'string' &&
    expected !== undefined &&
    timingSafeEqual(sha256(token), sha256(expected))
  const isVerification = mode === 'subscribe' && typeof challenge === 'string'
  if (isVerification) await (isKnown ? record(VERIFIED) : recordRefusal(WRONG_VERIFY_TOKEN))
  if (isVerification && isKnown)
    // As plain text, so that no browser reads the challenge as a page.
    res.type('text/plain').set('X-Content-Type-Options', 'nosniff').send(challenge)
  else res.status(403).type('text/plain').send('wrong verify token')
})

/**
 * Runs a statement whose result only the checklist shows (app/tenants/checklist.ts). Without the database, Meta still gets
 * its answer.
 */
const record = async (statement: RawBuilder<unknown>): Promise<void> => {
  await withTimeout(STORE_TIMEOUT_MS, statement.execute(webDb)).catch((err: unknown) =>
    log.warn({ err }, 'a request of Meta was not noted for the checklist'),
  )
}

/**
 * Anyone can send a request that is refused. So such requests use one connection at a time, and write a row once a minute.
 */
let isRecordingRefusal = false
const recordRefusal = async (statement: RawBuilder<unknown>): Promise<void> => {
  if (isRecordingRefusal) return
  isRecordingRefusal = true
  await record(statement)
  isRecordingRefusal = false
}

const VERIFIED = sql`
  insert into whatsapp_verification (verified_at) values (now())
  on conflict (only_row) do update set verified_at = now()`
const WRONG_VERIFY_TOKEN = sql`
  insert into whatsapp_verification as v (refused_at) values (now())
  on conflict (only_row) do update set refused_at = now()
  where coalesce(v.refused_at < now() - interval '1 minute', true)`

/** Notes that a body with a wrong signature names a number or an account of ours. */
const recordWrongSignature = async (body: Buffer): Promise<void> => {
  const named = idsIn(body)
  if (named.length > 0)
    await recordRefusal(sql`
      update whatsapp_connections set wrong_signature_at = now()
      where (phone_number_id = any(${named}::text[]) or waba_id = any(${named}::text[]))
        and coalesce(wrong_signature_at < now() - interval '1 minute', true)`)
}

/** Without a signature header, or without a secret that could fit it, no byte of the body is read. */
const requireSignature: RequestHandler = async (req, res, next) => {
  const isSignature = SIGNATURE.test(req.get('x-hub-signature-256') ?? '')
  if (isSignature && (appSecrets().length > 0 || (await hasOwnSecrets()))) next()
  else res.status(401).json({ error: 'wrong signature' })
}

/** Several Meta apps may post here. Their secrets are in one variable, separated by commas. */
const appSecrets = (): string[] => config().WHATSAPP_APP_SECRET ?? []

const receive: RequestHandler = async (req, res) => {
  const body = Buffer.isBuffer(req.body) ? req.body : Buffer.alloc(0)
  const header = req.get('x-hub-signature-256')
  const isOurs = appSecrets().some(secret => isSigned(body, header, secret))
  const ownUpdates = isOurs ? null : await updatesOfOwnApp(body, header)
  if (!isOurs && !ownUpdates) {
    await recordWrongSignature(body)
    res.status(401).json({ error: 'wrong signature' })
    return
  }
  proven.add(req.ip)
  failpoint('whatsapp:received')
  const json = readText(body)
  if ('wrong' in json)
    await withTimeout(
      STORE_TIMEOUT_MS,
      reject(body, json.wrong, req.get('content-type')?.slice(0, 200) ?? null),
    )
  else {
    const stored = storeUpdates(ownUpdates ?? updatesIn(json.value))
    failpoint('whatsapp:storing')
    await withTimeout(STORE_TIMEOUT_MS, stored)
  }
  failpoint('whatsapp:stored')
  res.json({ status: 'stored' })
}

whatsapp.post(PATH, measureAnswers('whatsapp'), requireSignature, readUpdateBody, receive)

whatsapp.all(PATH, (_req, res) => {
  res.status(405).set('Allow', 'GET, HEAD, POST').json({ error: 'GET to verify, POST to deliver' })
})

const SIGNATURE = /^sha256=([0-9a-f]{64})$/

/**
 * Whether the bytes are signed with our app secret (Meta, "Webhooks: getting started", X-Hub-Signature-256). The bytes
 * are checked as they arrived, because parsing and writing the JSON again changes its escapes.
 */
const isSigned = (body: Buffer, header: string | undefined, appSecret: string): boolean => {
  // Checked first, because Buffer.from(…, 'hex') silently stops at the first wrong digit.
  const signature = SIGNATURE.exec(header ?? '')?.[1]
  if (!signature) return false
  return timingSafeEqual(
    Buffer.from(signature, 'hex'),
    createHmac('sha256', appSecret).update(body).digest(),
  )
}

let ownSecrets: Promise<boolean> | undefined

/** Concurrent requests share one query, so that requests with a wrong signature never take all connections. */
const hasOwnSecrets = (): Promise<boolean> =>
  (ownSecrets ??= withTimeout(
    STORE_TIMEOUT_MS,
    webDb
      .selectFrom('whatsapp_connections')
      .select('id')
      .where('app_secret', 'is not', null)
      .limit(1)
      .executeTakeFirst(),
  )
    .then(found => found !== undefined)
    .finally(() => {
      ownSecrets = undefined
    }))

/**
 * The updates of a body that is signed with the secret of a connection's own Meta app. The owner of that app knows the
 * secret, so each update must be about this connection's number, or about its account and no number.
 *
 * The body is parsed after a secret fits, because parsing four megabytes of a stranger would block other requests.
 *
 * @returns null if no such secret fits, or if it does not cover every update
 */
const updatesOfOwnApp = async (
  body: Buffer,
  header: string | undefined,
): Promise<Update[] | null> => {
  if (!(await hasOwnSecrets())) return null
  const named = idsIn(body)
  const { rows } = await withTimeout(
    STORE_TIMEOUT_MS,
    sql<OwnApp>`
      select tenant_id as "tenantId", phone_number_id as "phoneNumberId", waba_id as "wabaId", app_secret as "appSecret"
      from whatsapp_connections
      where app_secret is not null and (phone_number_id = any(${named}::text[]) or waba_id = any(${named}::text[]))
      order by id limit ${MAX_CANDIDATES}`.execute(webDb),
  )
  const signers = rows.filter(one => isSignedBy(one, body, header))
  if (signers.length === 0) return null
  const json = readText(body)
  if ('wrong' in json) return null
  const updates = updatesIn(json.value)
  const isCovered = ({ phoneNumberId, wabaId }: Update) =>
    signers.some(one =>
      phoneNumberId === null
        ? wabaId !== null && wabaId === one.wabaId
        : phoneNumberId === one.phoneNumberId,
    )
  if (!updates.every(isCovered)) return null
  // The account decides whose templates an update is about. The owner of an app cannot name another one, and several tenants
  // may have numbers in one account: the update is stored for each tenant that has this secret.
  return updates.flatMap(update => {
    const named = signers.filter(({ wabaId }) => wabaId === update.wabaId)
    if (update.phoneNumberId !== null)
      return named.length > 0 ? update : { ...update, wabaId: null }
    const tenants = [...new Set(named.map(({ tenantId }) => tenantId))]
    return tenants.map(tenantId => ({ ...update, tenantId }))
  })
}

const MAX_IDS = 200

/** The ids of numbers and accounts that a body may be about. Meta writes them with plain digits. */
const idsIn = (body: Buffer): string[] => {
  const ids = new Set<string>()
  for (const [, id = ''] of body
    .toString('latin1')
    .matchAll(/"(?:phone_number_id|id)"\s*:\s*"(\d{1,40})"/g)) {
    ids.add(id)
    if (ids.size === MAX_IDS) break
  }
  return [...ids]
}

export type OwnApp = {
  tenantId: string
  phoneNumberId: string
  wabaId: string | null
  appSecret: string
}

const isSignedBy = (
  { tenantId, appSecret }: OwnApp,
  body: Buffer,
  header: string | undefined,
): boolean => {
  try {
    return isSigned(body, header, decrypt(appSecret, appSecretOwner(tenantId)))
  } catch (err) {
    // Under another ENCRYPTION_KEY. The secrets of other connections still count.
    log.warn({ err }, 'the app secret of a connection cannot be decrypted')
    return false
  }
}

/** Each candidate costs a hash over the whole body. */
const MAX_CANDIDATES = 20

/** A body that is not valid UTF-8 is rejected, because decoding it would change what people wrote. */
export const readText = (body: Buffer): ReturnType<typeof readJson> => {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(body)
  } catch {
    return { wrong: 'the body is not valid UTF-8' }
  }
  return readJson(text)
}

/** Keeps a signed body that is not JSON. It is acknowledged, because the same bytes would be sent again. */
const reject = async (body: Buffer, reason: string, contentType: string | null): Promise<void> => {
  await sql`
    insert into rejected_deliveries as r (source, reason, content_type, body, body_hash)
    values ('whatsapp', ${reason}, ${contentType}, ${body}, ${sha256(body)})
    on conflict on constraint rejected_deliveries_same_body do update set deliveries = r.deliveries + 1`.execute(
    webDb,
  )
}

const EVENT_JOB = jobSpec({
  task: 'whatsapp_event',
  entity: sql`id`,
  payload: sql`json_build_object('eventId', id::text)`,
  tenant: sql`tenant_id`,
  lane: EVENT_LANE,
})

/**
 * Stores the updates of one POST with their jobs: one statement, one commit. A repeat is counted and adds no job. An
 * update belongs to the tenant with its WhatsApp number. An update for an unknown number is stored without a tenant.
 */
export const storeUpdates = async (
  updates: Update[],
  database: typeof webDb = webDb,
): Promise<void> => {
  const rows = dedupe(
    updates.map(update => {
      const json = canonical(update.payload)
      return {
        ...update,
        json,
        personIds: personIdsIn(update).map(storable),
        hash: contentKey(
          update.phoneNumberId,
          update.key ??
            `${update.field} ${update.wabaId} ${update.tenantId ?? ''} ${update.sentAt} ${json}`,
        ),
      }
    }),
    ({ hash }) => hash.toString('hex'),
  )
  const sources = dedupe(
    updates.map(({ phoneNumberId, wabaId, tenantId = null }) => ({
      phoneNumberId: phoneNumberId && storable(phoneNumberId),
      wabaId: phoneNumberId === null ? wabaId && storable(wabaId) : null,
      tenantId,
    })),
    source => JSON.stringify(source),
  )
  const statement = sql`
    with source as (
      select * from unnest(
        ${sources.map(({ phoneNumberId }) => phoneNumberId)}::text[],
        ${sources.map(({ wabaId }) => wabaId)}::text[],
        ${sources.map(({ tenantId }) => tenantId)}::bigint[]
      ) as s (phone_number_id, waba_id, tenant_id)
    ), heard as (
      -- Evidence for the checklist. An event does not wait for a connection that is being changed.
      update whatsapp_connections set event_at = now()
      where id in (
        select c.id from whatsapp_connections c join source s
          on c.phone_number_id = s.phone_number_id
          or c.waba_id = s.waba_id and coalesce(s.tenant_id = c.tenant_id, true)
        where coalesce(c.event_at < greatest(now() - interval '1 hour', c.wrong_signature_at), true)
        for update of c skip locked)
    ), stored as (
      insert into whatsapp_events as e
        (tenant_id, phone_number_id, waba_id, field, kind, payload, person_ids, sent_at, content_key, deliveries)
      select coalesce(c.tenant_id, u.tenant_id), u.phone_number_id, u.waba_id, u.field, u.kind, u.payload::jsonb,
             (select array_agg(id) from jsonb_array_elements_text(u.person_ids::jsonb) as ids (id)),
             -- An update from the future would be newer than all that follow it.
             case when u.sent_at is not null then least(to_timestamp(u.sent_at), now() + interval '1 hour') end,
             u.content_key, u.deliveries
      from unnest(
        ${rows.map(row => row.tenantId ?? null)}::bigint[],
        ${rows.map(row => row.phoneNumberId && storable(row.phoneNumberId))}::text[],
        ${rows.map(row => row.wabaId && storable(row.wabaId))}::text[],
        ${rows.map(row => storable(row.field))}::text[],
        ${rows.map(row => row.kind)}::text[],
        ${rows.map(row => row.json)}::text[],
        ${rows.map(row => JSON.stringify(row.personIds))}::text[],
        ${rows.map(row => row.sentAt)}::float8[],
        ${rows.map(row => row.hash)}::bytea[],
        ${rows.map(row => row.deliveries)}::int[]
      ) with ordinality as u (tenant_id, phone_number_id, waba_id, field, kind, payload, person_ids, sent_at, content_key, deliveries, n)
      left join whatsapp_connections c on c.phone_number_id = u.phone_number_id
      order by u.n
      on conflict on constraint whatsapp_events_once do update set
        deliveries = e.deliveries + excluded.deliveries,
        -- An update of a template sets a state, so reading it twice does no harm, and two equal ones may both be new:
        -- APPROVED, PAUSED, and APPROVED again.
        outcome = case when e.payload is not null and e.kind in ('template_status', 'template_category')
                  then null else e.outcome end
      returning e.id, e.tenant_id, e.kind, e.xmax = 0 or e.outcome is null and e.kind in ('template_status', 'template_category') as is_new
    ), jobs as (
      select count(*) as wanted, array_agg(${EVENT_JOB} order by id) as specs
      from stored where is_new
    )
    select assert_all_queued(wanted, (select count(*) from graphile_worker.add_jobs(specs)))
    from jobs where wanted > 0`
  await retryStatement(database, () => statement.execute(database))
}
