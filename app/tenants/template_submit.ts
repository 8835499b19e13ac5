/**
 * Submits the templates of a tenant to Meta. First a plan is read, then Graph is asked while no transaction is open, then the
 * answers are stored. Submitting twice creates nothing twice.
 */
import { sql } from 'kysely'
import type { z } from 'zod'
import { type Actor, audit } from '../audit.ts'
import { decrypt, tokenOwner } from '../crypto.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound, userError } from '../errors.ts'
import type { GraphTemplate } from '../whatsapp/follow_graph.ts'
import { ownTemplateNamed } from '../whatsapp/own_templates.ts'
import {
  createTemplate,
  editTemplate,
  type SubmitAnswer,
  type Submission,
  SUBMIT_TIMEOUT_MS,
} from '../whatsapp/template_api.ts'
import type { TemplateKind, Variable } from '../whatsapp/templates.ts'
import {
  type Account,
  requireAccounts,
  askAccounts,
  type Asked,
  storeTemplates,
  type Synced,
} from './template_sync.ts'
import { type templateResubmit } from './template_change.ts'
import { type TemplateInUse, templatesOf } from './templates.ts'

/** `edits` is Meta's id of the template that gets another text. Null = it is created if Meta has none. */
type Planned = Submission & { edits: string | null }
export type SubmitPlan = { account: Account; planned: Planned[] }

/** The people who review a template read examples of its variables. */
const EXAMPLES: Record<Exclude<Variable, 'business_name'>, string> = {
  caller_name: 'Dana',
  call_time: '14:05',
  caller_phone: '+972501234567',
  what_happened: 'called 3 times',
}

const submissionOf = (
  { kind, name, language, variables }: TemplateInUse,
  body: string,
  labels: readonly string[],
  businessName: string,
): Submission => ({
  kind,
  name,
  language,
  body,
  labels,
  examples: variables
    .split(',')
    .filter(Boolean)
    .map(variable => (isExample(variable) ? EXAMPLES[variable] : businessName)),
})
const isExample = (variable: string): variable is keyof typeof EXAMPLES =>
  Object.hasOwn(EXAMPLES, variable)

/**
 * Every template in use whose text is known. Our own texts are submitted in each language of the tenant.
 *
 * @throws UserError if there is no such tenant, or if it has no WhatsApp number
 */
export const planSubmit = async (trx: Trx, tenantId: string): Promise<SubmitPlan[]> => {
  const accounts = await requireAccounts(trx, tenantId)
  const templates = await templatesOf(trx, tenantId)
  return accounts.map(account => {
    const planned = new Map<string, Planned>()
    for (const template of templates) {
      if (template.connectionId !== account.connectionId) continue
      for (const language of new Set([template.language, ...account.languages])) {
        const own = ownTemplateNamed(template.kind, template.name, language)
        const body = own?.text ?? (language === template.language ? template.body : null)
        if (body === null) continue
        const labels = own?.labels ?? template.labels
        const one = submissionOf({ ...template, language }, body, labels, account.businessName)
        planned.set(`${one.name} ${language}`, { ...one, edits: null })
      }
    }
    return { account, planned: [...planned.values()] }
  })
}

/**
 * A template that Meta has, with another text.
 *
 * @param body absent = our text of this template, or the one that is known
 * @throws UserError if there is no such template, if Meta does not have it, if no text is known, or if a tenant would
 * change the template of another one that shares its account at Meta
 */
export const planResubmit = async (
  trx: Trx,
  actor: Actor,
  { tenantId, kind, number, hours, body: given }: z.infer<typeof templateResubmit>,
): Promise<SubmitPlan[]> => {
  const accounts = await requireAccounts(trx, tenantId)
  if (actor.as === 'tenant' && (await isShared(trx, tenantId)))
    throw userError(
      'shared_account',
      'other businesses use this account at Meta and its templates: ask the operator',
    )
  const templates = (await templatesOf(trx, tenantId)).filter(
    one => one.kind === kind && one.number === (number ?? null) && one.hours === (hours ?? null),
  )
  if (templates.length === 0) throw notFound('template for this number and these hours')
  return accounts.flatMap(account => {
    const template = templates.find(one => one.connectionId === account.connectionId)
    if (!template) return []
    const { name, language, metaId } = template
    const own = ownTemplateNamed(kind, name, language)
    const body = given ?? own?.text ?? template.body
    if (metaId === null)
      throw userError('not_at_meta', `Meta does not have the template ${name}: submit it first`)
    if (body === null)
      throw userError('no_body', `the text of the template ${name} is not known`, 'body')
    const labels = own?.labels ?? template.labels
    const one = submissionOf(template, body, labels, account.businessName)
    return [{ account, planned: [{ ...one, edits: metaId }] }]
  })
}

/** Whether another tenant has a number in the same account at Meta. */
const isShared = async (trx: Trx, tenantId: string): Promise<boolean> => {
  const { rows } = await sql`
    select from whatsapp_connections own join whatsapp_connections other on other.waba_id = own.waba_id
    where own.tenant_id = ${tenantId} and other.tenant_id <> ${tenantId} limit 1`.execute(trx)
  return rows.length > 0
}

/** What became of one template. */
export type Submitted = {
  kind: TemplateKind
  name: string
  language: string
  /** exists = Meta had it already. */
  result: 'submitted' | 'exists' | 'refused' | 'unanswered'
  /** Meta's word for its state. */
  status: string | null
  /** Why Meta refused it. */
  code: number | null
  message: string | null
}
export type SubmitAnswers = {
  asked: Asked[]
  /** By the id of the connection. */
  submitted: Map<string, Submitted[]>
  edited: { connectionId: string; name: string; language: string; body: string }[]
}

const AT_ONCE = 4

/** Asks Graph for what it has, submits what it does not have, and asks again. No transaction may be open. */
export const submitPlan = async (plans: readonly SubmitPlan[]): Promise<SubmitAnswers> => {
  const signal = AbortSignal.timeout(SUBMIT_TIMEOUT_MS)
  const accounts = plans.map(({ account }) => account)
  const before = await askAccounts(accounts)
  // Connections of one account share its templates.
  const tried = new Map<string, { one: Planned; wabaId: string; answer: SubmitAnswer }>()
  const wanted: { key: string; one: Planned; wabaId: string; accessToken: string }[] = []
  for (const [at, { list, wabaId, tenantId, accessToken }] of before.entries()) {
    if (list.kind !== 'listed' || wabaId === null) continue
    for (const one of plans[at]?.planned ?? []) {
      const key = keyOf(wabaId, one)
      const isDone = wanted.some(other => other.key === key)
      if (isDone || (one.edits === null && list.templates.some(isSame(one)))) continue
      wanted.push({ key, one, wabaId, accessToken: decrypt(accessToken, tokenOwner(tenantId)) })
    }
  }
  for (let from = 0; from < wanted.length; from += AT_ONCE)
    await Promise.all(
      wanted.slice(from, from + AT_ONCE).map(async ({ key, one, wabaId, accessToken }) => {
        const access = { accessToken, signal }
        const answer =
          one.edits === null
            ? await createTemplate(access, wabaId, one)
            : await editTemplate(access, one.edits, one)
        tried.set(key, { one, wabaId, answer })
      }),
    )
  const after = wanted.length > 0 ? await askAccounts(accounts) : before
  const asked = after.map((account, at) => withAccepted(account, before[at]?.list, tried))
  const submitted = new Map(
    asked.map((account, at) => [
      account.connectionId,
      (plans[at]?.planned ?? []).flatMap(one => resultOf(account, one, tried)),
    ]),
  )
  const edited = asked.flatMap(({ connectionId, wabaId }, at) =>
    (plans[at]?.planned ?? []).flatMap(one =>
      one.edits !== null && tried.get(keyOf(wabaId ?? '', one))?.answer.kind === 'accepted'
        ? { connectionId, name: one.name, language: one.language, body: one.body }
        : [],
    ),
  )
  return { asked, submitted, edited }
}

type Tried = ReadonlyMap<string, { one: Planned; wabaId: string; answer: SubmitAnswer }>
type Named = Pick<Submission, 'name' | 'language'>

const keyOf = (wabaId: string, { name, language }: Named): string => `${wabaId} ${name} ${language}`
const isSame =
  ({ name, language }: Named) =>
  (other: Named): boolean =>
    other.name === name && other.language === language

/** Graph's list may not have a new template, or the new state of an edited one, yet. */
const withAccepted = (account: Asked, before: Asked['list'] | undefined, tried: Tried): Asked => {
  const { wabaId } = account
  // If Graph did not answer again, its answer before still counts.
  const list = account.list.kind === 'listed' || !before ? account.list : before
  if (list.kind !== 'listed') return account
  const templates = [...list.templates]
  for (const { one, answer, wabaId: of } of tried.values()) {
    if (answer.kind !== 'accepted' || of !== wabaId) continue
    const at = templates.findIndex(isSame(one))
    const listed = templates[at]
    if (!listed) templates.push(graphTemplate(one, answer))
    else if (one.edits !== null) {
      const old = before?.kind === 'listed' ? before.templates.find(isSame(one)) : undefined
      const isOld = listed.status === old?.status && listed.status !== 'APPROVED'
      templates[at] = {
        ...listed,
        body: one.body,
        ...(isOld && { status: answer.status, rejectedReason: null }),
      }
    }
  }
  return { ...account, list: { ...list, templates } }
}

const graphTemplate = (
  { name, language, body, labels }: Planned,
  { id, status, category }: SubmitAnswer & { kind: 'accepted' },
): GraphTemplate => ({
  id,
  name,
  language,
  status,
  category,
  rejectedReason: null,
  body,
  buttons: labels.map(label => ({ isQuickReply: true, label })),
  isNamed: false,
})

const resultOf = ({ list, wabaId }: Asked, one: Planned, tried: Tried): Submitted[] => {
  if (list.kind !== 'listed') return []
  const answer = tried.get(keyOf(wabaId ?? '', one))?.answer
  const found = list.templates.find(isSame(one))
  const { kind, name, language } = one
  const result = { kind, name, language, status: found?.status ?? null, code: null, message: null }
  if (answer?.kind === 'accepted') return [{ ...result, result: 'submitted' }]
  // Another command has submitted it at the same time, or the answer was lost.
  if (found && one.edits === null) return [{ ...result, result: 'exists' }]
  if (answer?.kind === 'refused') {
    const { code, message } = answer
    return [{ ...result, result: 'refused', code, message }]
  }
  return [{ ...result, result: 'unanswered' }]
}

export type SubmitResult = Synced & { submitted: Submitted[] }

/** Stores what Graph answered, and why it refused a template. */
export const storeSubmitted = async (
  trx: Trx,
  actor: Actor,
  tenantId: string,
  { asked, submitted, edited }: SubmitAnswers,
): Promise<SubmitResult> => {
  for (const { connectionId, name, language, body } of edited)
    await trx
      .updateTable('whatsapp_templates')
      .set({ body, differs: [] })
      .where('whatsapp_connection_id', '=', connectionId)
      .where('name', '=', name)
      .where('language', '=', language)
      .execute()
  const synced = await storeTemplates(trx, null, tenantId, asked)
  for (const [connectionId, results] of submitted)
    for (const { name, language, result, code, message } of results)
      await trx
        .updateTable('whatsapp_templates')
        .set({ submit_error: result === 'refused' ? `${code}: ${message}` : null })
        .where('whatsapp_connection_id', '=', connectionId)
        .where('name', '=', name)
        .where('language', '=', language)
        .execute()
  const all = new Map(
    [...submitted.values()].flat().map(one => [`${one.name} ${one.language}`, one]),
  )
  await audit(trx, actor, {
    tenantId,
    action: edited.length > 0 ? 'template.resubmit' : 'template.submit',
    subject: `tenants ${tenantId}`,
    before: null,
    after: {
      templates: [...all.values()].map(one => `${one.name} ${one.language} ${one.result}`),
      problems: synced.problems.map(({ why }) => why),
    },
  })
  return { ...synced, submitted: [...all.values()] }
}
