/** Asks Meta's Graph API about the templates of a tenant, and stores what it tells. */
import { sql } from 'kysely'
import { z } from 'zod'
import { type Actor, audit } from '../audit.ts'
import { decrypt, tokenOwner } from '../crypto.ts'
import { jobSpec } from '../db/jobs.ts'
import { db, type Trx } from '../db/kysely.ts'
import { lockTenant } from '../db/locks.ts'
import { retryOnConflict } from '../db/retry.ts'
import { askGraph, type GraphAnswer } from '../whatsapp/account.ts'
import { listTemplates, type TemplateList } from '../whatsapp/template_api.ts'
import { followGraph, type GraphTemplate } from '../whatsapp/follow_graph.ts'
import { type Hours, ownTemplate } from '../whatsapp/own_templates.ts'
import { BUTTONS, type Language, type TemplateKind, VARIABLES } from '../whatsapp/templates.ts'
import { NUMBER_MOVED, storeGraphAnswer } from './accounts.ts'
import { MISSING, TEMPLATE_KINDS } from './template_change.ts'
import { noConnection } from './templates.ts'
import { stateAfter } from './template_updates.ts'

/** A connection whose account is asked. */
export type Account = {
  connectionId: string
  phoneNumberId: string
  tenantId: string
  wabaId: string | null
  /** Encrypted. */
  accessToken: string
  businessName: string
  /** Of the tenant; the first is used. */
  languages: Language[]
  /** When it was asked, by the clock of the database. */
  now: Date
}

export const accountsOf = async (trx: Trx, tenantId: string): Promise<Account[]> => {
  const { rows } = await sql<Account>`
    select c.id as "connectionId", c.phone_number_id as "phoneNumberId", c.tenant_id as "tenantId", c.waba_id as "wabaId",
           c.access_token as "accessToken", t.name as "businessName", t.languages, clock_timestamp() as now
    from whatsapp_connections c join tenants t on t.id = c.tenant_id
    where c.tenant_id = ${tenantId} and c.state_reason is distinct from ${NUMBER_MOVED} order by c.id`.execute(
    trx,
  )
  return rows
}

/** @throws UserError if there is no such tenant, or if it has no WhatsApp number */
export const requireAccounts = async (trx: Trx, tenantId: string): Promise<Account[]> => {
  await lockTenant(trx, tenantId)
  const accounts = await accountsOf(trx, tenantId)
  if (accounts.length === 0) throw noConnection(tenantId)
  return accounts
}

/** The accounts are asked one after the other, because Meta limits the questions of an app to some hundred an hour. */
const SPREAD_SECONDS = 1800

/** Adds a job for each tenant with a WhatsApp number. */
export const scheduleSyncs = async (): Promise<void> => {
  const job = jobSpec({
    task: 'template_sync',
    entity: sql`id`,
    payload: sql`json_build_object('tenantId', id::text)`,
    tenant: sql`id`,
    at: sql`now() + make_interval(secs => id % ${SPREAD_SECONDS})`,
  })
  await retryOnConflict(() =>
    sql`
      with jobs as (
        select count(*) as wanted, array_agg(${job} order by id) as specs from tenants t
        where exists (select from whatsapp_connections c
                      where c.tenant_id = t.id and c.state_reason is distinct from ${NUMBER_MOVED})
      )
      select assert_all_queued(wanted, (select count(*) from graphile_worker.add_jobs(specs)))
      from jobs where wanted > 0`.execute(db),
  )
}

/** What Graph told about the account of one connection. */
export type Asked = Account & {
  list: TemplateList | { kind: 'account_unknown' }
  /** If the account was not known, what Graph told about the number. */
  answer?: GraphAnswer
}

/** Asks Graph about each account once. No transaction may be open. */
export const askAccounts = async (accounts: readonly Account[]): Promise<Asked[]> => {
  const lists = new Map<string, Promise<TemplateList>>()
  const listOnce = (wabaId: string, accessToken: string) => {
    const key = `${wabaId} ${accessToken}`
    const list = lists.get(key) ?? listTemplates({ wabaId, accessToken })
    lists.set(key, list)
    return list
  }
  return Promise.all(
    accounts.map(async (account): Promise<Asked> => {
      const { phoneNumberId, tenantId, wabaId } = account
      const accessToken = decrypt(account.accessToken, tokenOwner(tenantId))
      if (wabaId !== null) return { ...account, list: await listOnce(wabaId, accessToken) }
      const answer = await askGraph({ phoneNumberId, accessToken })
      if (answer.kind === 'unconfirmed') return { ...account, list: { kind: 'unanswered' } }
      if (answer.kind === 'refused') return { ...account, list: answer }
      if (answer.wabaId === null) return { ...account, list: { kind: 'account_unknown' } }
      const list = await listOnce(answer.wabaId, accessToken)
      return { ...account, wabaId: answer.wabaId, answer, list }
    }),
  )
}

/** A template in use, as it is stored. `id` is null if it is a default without a row. */
type Stored = {
  id: string | null
  kind: TemplateKind
  number: string | null
  hours: Hours | null
  name: string
  language: string
  variables: string[]
  body: string | null
  buttons: string[]
  state: 'active' | 'paused'
  stateReason: string | null
  stateAt: Date | null
  category: string | null
  categoryAt: Date | null
  differs: string[]
}

/** What Graph told about one template in use. */
export type SyncedTemplate = {
  phoneNumberId: string
  kind: TemplateKind
  /** The calls that it is for. Null = any. */
  number: string | null
  hours: Hours | null
  name: string
  language: string
  /** Meta's word; MISSING = the account has no such template. */
  status: string
  category: string | null
  state: string
  /** What Meta has otherwise than it was set here. */
  differs: string[]
}
/** Why nothing is known about the templates of a number. */
export type SyncProblem = {
  phoneNumberId: string
  why: 'token_refused' | 'account_refused' | 'account_unknown' | 'unanswered'
  code: number | null
}
export type Synced = { templates: SyncedTemplate[]; problems: SyncProblem[] }

/**
 * Stores what Graph told. Webhooks may tell newer or older things: the newest counts.
 *
 * @param actor null = the daily job
 */
export const storeTemplates = async (
  trx: Trx,
  actor: Actor | null,
  tenantId: string,
  asked: readonly Asked[],
): Promise<Synced> => {
  await lockTenant(trx, tenantId)
  const synced: Synced = { templates: [], problems: [] }
  for (const account of asked) {
    const { list, answer, connectionId, phoneNumberId } = account
    if (answer) await storeGraphAnswer(trx, connectionId, answer)
    if (list.kind !== 'listed') {
      synced.problems.push({ phoneNumberId, ...problemOf(list) })
      continue
    }
    for (const stored of await templatesInUse(trx, account)) {
      const found = list.templates.find(
        ({ name, language }) => name === stored.name && language === stored.language,
      )
      if (!found && !list.isComplete) continue
      const after = found
        ? afterFound(stored, found, account.now)
        : afterMissing(stored, account.now)
      await store(trx, account, stored, after)
      synced.templates.push({
        phoneNumberId,
        kind: stored.kind,
        number: stored.number,
        hours: stored.hours,
        name: stored.name,
        language: stored.language,
        status: found?.status ?? MISSING,
        category: after.category ?? stored.category,
        state: after.state ?? stored.state,
        differs: after.differs ?? stored.differs,
      })
    }
  }
  if (actor)
    await audit(trx, actor, {
      tenantId,
      action: 'template.sync',
      subject: `tenants ${tenantId}`,
      before: null,
      after: {
        templates: synced.templates.map(({ name, status }) => `${name} ${status}`),
        problems: synced.problems.map(({ why }) => why),
      },
    })
  return synced
}

const problemOf = (
  list: Exclude<Asked['list'], { kind: 'listed' }>,
): Pick<SyncProblem, 'why' | 'code'> => {
  if (list.kind !== 'refused') return { why: list.kind, code: null }
  return { why: list.code === 190 ? 'token_refused' : 'account_refused', code: list.code }
}

const templatesInUse = async (
  trx: Trx,
  { connectionId, languages }: Account,
): Promise<Stored[]> => {
  const { rows } = await sql<Stored>`
    select id, kind, dialled_number as number, hours, name, language, variables, body, buttons, state, state_reason as "stateReason", state_at as "stateAt",
           category, category_at as "categoryAt", differs
    from whatsapp_templates where whatsapp_connection_id = ${connectionId} order by id for update`.execute(
    trx,
  )
  const hasGeneral = (kind: TemplateKind) =>
    rows.some(row => row.kind === kind && row.number === null && row.hours === null)
  const defaults = TEMPLATE_KINDS.filter(kind => !hasGeneral(kind))
  return [...rows, ...defaults.map(kind => defaultTemplate(kind, languages[0] ?? 'he'))]
}

const defaultTemplate = (kind: TemplateKind, written: Language): Stored => {
  const { name, language, variables, text } = ownTemplate(kind, { language: written })
  return {
    id: null,
    kind,
    number: null,
    hours: null,
    name,
    language,
    variables: [...variables],
    body: text,
    buttons: [],
    state: 'active',
    stateReason: null,
    stateAt: null,
    category: null,
    categoryAt: null,
    differs: [],
  }
}

/** Clocks differ, and Meta's updates are in whole seconds. So an update is newer from this time before the question on. */
const CLOCK_SLACK_MS = 5000
/** A template that was just submitted may not be listed yet. */
const LISTED_AFTER_MS = 10 * 60_000
/** Errors of a send that end when Meta approves the template. After any other error the template itself must change. */
const ENDED_BY_APPROVAL = /^(template |WhatsApp error (132001|132015|132016)\b)/

type Changes = Partial<Omit<Stored, 'id' | 'kind' | 'variables'>> & {
  labels?: string[]
  metaId?: string | null
  metaStatus?: string
  metaReason?: string | null
}

/** What follows when Graph lists the template. */
const afterFound = (stored: Stored, found: GraphTemplate, now: Date): Changes => {
  const at = new Date(now.getTime() - CLOCK_SLACK_MS)
  const variables = z.array(z.enum(VARIABLES)).parse(stored.variables)
  const known = { ...stored, variables, buttons: z.array(z.enum(BUTTONS)).parse(stored.buttons) }
  const { body, buttons, labels, differs, isUnusable } = followGraph(known, found)
  const isNewer = (than: Date | null) => than === null || than <= at
  // A difference in the text or the buttons is reported until a person has seen it, since it is not one the next time.
  const unseen = stored.differs.filter(
    one => one !== 'variables' && !differs.some(now => now === one),
  )
  const changes: Changes = {
    body,
    buttons: [...buttons],
    labels,
    differs: [...unseen, ...differs],
    metaId: found.id,
  }
  if (isNewer(stored.stateAt)) {
    const state = isUnusable ? 'paused' : stateAfter(found.status)
    Object.assign(changes, {
      metaStatus: found.status,
      metaReason: found.rejectedReason,
      stateAt: at,
    })
    if (state === 'paused')
      Object.assign(changes, {
        state,
        stateReason: isUnusable ? 'template VARIABLES' : `template ${found.status}`,
      })
    if (state === 'active' && ENDED_BY_APPROVAL.test(stored.stateReason ?? ''))
      Object.assign(changes, { state, stateReason: null })
  }
  // A price is told by a message, and says more than the category that Meta lists.
  const isPriced = stored.category === 'MARKETING' && stored.categoryAt === null
  if (found.category && !(isPriced && found.category !== 'MARKETING') && isNewer(stored.categoryAt))
    Object.assign(changes, { category: found.category, categoryAt: at })
  return changes
}

/** What follows when the account has no such template: messages are held until it has. */
const afterMissing = ({ stateAt }: Stored, now: Date): Changes =>
  stateAt !== null && now.getTime() - stateAt.getTime() < LISTED_AFTER_MS
    ? {}
    : {
        metaId: null,
        metaStatus: MISSING,
        metaReason: null,
        state: 'paused',
        stateReason: `template ${MISSING}`,
        stateAt: new Date(now.getTime() - CLOCK_SLACK_MS),
      }

const store = async (
  trx: Trx,
  { tenantId, connectionId }: Account,
  stored: Stored,
  changes: Changes,
): Promise<void> => {
  const after = { ...stored, ...changes }
  const { kind, name, language, variables } = stored
  const id =
    stored.id ??
    (
      await trx
        .insertInto('whatsapp_templates')
        .values({
          tenant_id: tenantId,
          whatsapp_connection_id: connectionId,
          kind,
          name,
          language,
          variables,
        })
        .returning('id')
        .executeTakeFirstOrThrow()
    ).id
  await trx
    .updateTable('whatsapp_templates')
    .set({
      body: after.body,
      buttons: after.buttons,
      state: after.state,
      state_reason: after.stateReason,
      state_at: after.stateAt,
      category: after.category,
      category_at: after.categoryAt,
      ...(after.category !== stored.category && { marketing_agreed: false }),
      differs: after.differs,
      synced_at: sql<Date>`now()`,
      ...(after.labels && { button_labels: after.labels }),
      ...(after.metaId !== undefined && { meta_id: after.metaId }),
      ...(after.metaStatus !== undefined && { meta_status: after.metaStatus }),
      ...(after.metaReason !== undefined && { meta_reason: after.metaReason }),
    })
    .where('id', '=', id)
    .execute()
}
