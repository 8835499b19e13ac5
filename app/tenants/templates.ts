/** Which WhatsApp template each kind of message uses, for each WhatsApp number of a tenant. */
import type { z } from 'zod'
import { type Actor, audit, changedFields } from '../audit.ts'
import { addJob } from '../db/jobs.ts'
import { lockTenant } from '../db/locks.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound, userError } from '../errors.ts'
import { ownTemplate, ownTemplateNamed } from '../whatsapp/own_templates.ts'
import { type Language, LANGUAGES, type TemplateKind } from '../whatsapp/templates.ts'
import {
  hours,
  MISSING,
  type Scope,
  TEMPLATE_KINDS,
  type TemplateChange,
  type templateResume,
  type Wanted,
  wantedOwn,
  wantedStored,
  wantedTemplate,
} from './template_change.ts'

/**
 * Sets the template of one kind, number and time of day for every WhatsApp number of a tenant. Missing fields do not
 * change. One of our own names brings its text, buttons and variables.
 *
 * @throws UserError if there is no such tenant, if it has no WhatsApp number, or if the template cannot be like that
 */
export const changeTemplate = async (
  trx: Trx,
  actor: Actor,
  { tenantId, kind, number, hours, resume, backToDefault, ...given }: TemplateChange,
): Promise<void> => {
  const { languages } = await lockTenant(trx, tenantId)
  const scope = { kind, number: number ?? null, hours: hours ?? null }
  const before = await templatesOf(trx, tenantId)
  const connections = [...new Set(before.map(({ connectionId }) => connectionId))]
  if (connections.length === 0) throw noConnection(tenantId)
  if (number !== undefined) await checkDialled(trx, tenantId, number)
  const isSpecific = scope.number !== null || scope.hours !== null
  for (const connectionId of connections) {
    const stored = before.find(one => one.connectionId === connectionId && isOf(one, scope))
    if (backToDefault) {
      await trx
        .deleteFrom('whatsapp_templates')
        .where('whatsapp_connection_id', '=', connectionId)
        .where('kind', '=', kind)
        .where('dialled_number', 'is not distinct from', scope.number)
        .where('hours', 'is not distinct from', scope.hours)
        .execute()
      continue
    }
    if (isSpecific && !stored && resume) throw notFound('template for this number and these hours')
    const current = stored
      ? wantedStored(stored)
      : wantedOwn(ownTemplate(kind, { language: languageOf(languages), hours: scope.hours }))
    const wanted = wantedTemplate(scope, current, given)
    // Meta paused the previous template. Another one has its own approval.
    const isOther = !stored || wanted.name !== stored.name || wanted.language !== stored.language
    const isKnown = !isOther && stored.metaStatus !== null && stored.metaStatus !== MISSING
    if (given.body !== undefined && isKnown && stored.body !== given.body)
      throw userError(
        'known_at_meta',
        `Meta has the template ${wanted.name} already: give the new text another name, or resubmit it`,
        'body',
      )
    await writeTemplate(trx, tenantId, connectionId, scope, wanted, {
      isOther,
      isActive: resume || isOther,
      isAgreed: resume,
    })
  }
  const after = await templatesOf(trx, tenantId)
  for (const connectionId of connections) {
    const audited = (templates: typeof before) => {
      const found = templates.find(one => one.connectionId === connectionId && isOf(one, scope))
      return found ? auditedFields(found) : {}
    }
    const changed = changedFields(audited(before), audited(after))
    if (changed)
      await audit(trx, actor, {
        tenantId,
        action: 'template.set',
        subject: `whatsapp_connections ${connectionId}`,
        before: { kind, ...(isSpecific && scope), ...changed.before },
        after: { kind, ...(isSpecific && scope), ...changed.after },
      })
  }
}

const auditedFields = ({
  name,
  language,
  variables,
  buttons,
  state,
  reason,
  category,
  isHeld,
  differs,
}: TemplateInUse) => ({
  name,
  language,
  variables,
  buttons,
  state,
  reason,
  category,
  isHeld,
  differs,
})

export const noConnection = (tenantId: string) =>
  userError(
    'no_connection',
    `tenant ${tenantId} has no WhatsApp number: add one with npm run tenant -- connect`,
  )

/** @throws UserError if customers of the tenant do not dial this number */
const checkDialled = async (trx: Trx, tenantId: string, phone: string): Promise<void> => {
  const known = await trx
    .selectFrom('tenant_numbers')
    .select('phone')
    .where('tenant_id', '=', tenantId)
    .where('phone', '=', phone)
    .executeTakeFirst()
  if (!known)
    throw userError('number_unknown', `${phone} is no number of tenant ${tenantId}`, 'number')
}

const isOf = (one: Scope, { kind, number, hours }: Scope): boolean =>
  one.kind === kind && one.number === number && one.hours === hours

/** The language that a tenant writes in. */
const languageOf = (languages: readonly string[]): Language =>
  LANGUAGES.find(one => one === languages[0]) ?? 'he'

/** The facts that Meta told about a template. About another template they say nothing. */
const NOTHING_TOLD = {
  category: null,
  category_at: null,
  state_at: null,
  meta_id: null,
  meta_status: null,
  meta_reason: null,
  synced_at: null,
  submit_error: null,
}

const writeTemplate = async (
  trx: Trx,
  tenantId: string,
  connectionId: string,
  { kind, number, hours }: Scope,
  { labels, ...wanted }: Wanted,
  is: { isOther: boolean; isActive: boolean; isAgreed: boolean },
): Promise<void> => {
  const changes = {
    ...wanted,
    variables: [...wanted.variables],
    buttons: [...wanted.buttons],
    button_labels: [...labels],
    ...(is.isOther && { ...NOTHING_TOLD, marketing_agreed: false }),
    ...(is.isAgreed && { marketing_agreed: true }),
    // A person who resumes the template has seen what Meta has otherwise.
    ...(is.isActive && { state: 'active', state_reason: null, differs: [] }),
  }
  await trx
    .insertInto('whatsapp_templates')
    .values({
      tenant_id: tenantId,
      whatsapp_connection_id: connectionId,
      kind,
      dialled_number: number,
      hours,
      ...changes,
    })
    .onConflict(conflict => conflict.constraint('whatsapp_templates_key').doUpdateSet(changes))
    .execute()
}

/**
 * Uses the paused templates again, and agrees that templates which Meta counts as marketing are sent, and that others are
 * sent as Meta has them.
 *
 * @param kind absent = of every kind
 * @throws UserError if there is no such tenant, or if it has no WhatsApp number
 */
export const resumeTemplates = async (
  trx: Trx,
  actor: Actor,
  { tenantId, kind }: z.infer<typeof templateResume>,
): Promise<{ resumed: TemplateKind[] }> => {
  await lockTenant(trx, tenantId)
  const waiting = (await templatesOf(trx, tenantId)).filter(
    one =>
      (one.state === 'paused' || one.isHeld || one.differs.length > 0) &&
      (kind === undefined || one.kind === kind),
  )
  const scopes = new Map(
    waiting.map(({ kind, number, hours }) => [
      `${kind} ${number} ${hours}`,
      { kind, number, hours },
    ]),
  )
  for (const { kind, number, hours } of scopes.values())
    await changeTemplate(trx, actor, {
      tenantId,
      kind,
      resume: true,
      backToDefault: false,
      ...(number !== null && { number }),
      ...(hours !== null && { hours }),
    })
  return { resumed: TEMPLATE_KINDS.filter(one => waiting.some(({ kind }) => kind === one)) }
}

/** A tenant writes in another language: our own templates in use are those of this language. */
export const changeLanguage = async (
  trx: Trx,
  tenantId: string,
  before: string,
  after: Language,
): Promise<void> => {
  if (before === after) return
  await addJob(trx, 'template_sync', tenantId, { tenantId }, { tenantId })
  for (const { kind, name, language, ...one } of await templatesOf(trx, tenantId)) {
    const own = language === before ? ownTemplateNamed(kind, name, after) : undefined
    if (!own || one.id === null) continue
    const scope = { kind, number: one.number, hours: one.hours }
    await writeTemplate(trx, tenantId, one.connectionId, scope, wantedOwn(own), {
      isOther: true,
      isActive: true,
      isAgreed: false,
    })
  }
}

export type TemplateInUse = Awaited<ReturnType<typeof templatesOf>>[number]

/** The template of every kind of message, for every WhatsApp number of a tenant, then those for some calls only. */
export const templatesOf = async (trx: Trx, tenantId: string) => {
  const rows = await trx
    .selectFrom('whatsapp_connections as c')
    .innerJoin('tenants as t', 't.id', 'c.tenant_id')
    .leftJoin('whatsapp_templates as w', 'w.whatsapp_connection_id', 'c.id')
    .select([
      'c.id as connectionId',
      'c.phone_number_id as phoneNumberId',
      't.languages',
      'w.id',
      'w.kind',
      'w.dialled_number as number',
      'w.hours',
      'w.name',
      'w.language',
      'w.variables',
      'w.body',
      'w.buttons',
      'w.button_labels as labels',
      'w.state',
      'w.state_reason as reason',
      'w.category',
      'w.marketing_agreed as isAgreed',
      'w.differs',
      'w.meta_id as metaId',
      'w.meta_status as metaStatus',
      'w.meta_reason as metaReason',
      'w.submit_error as submitError',
      'w.synced_at as syncedAt',
      'w.state_at as stateAt',
    ])
    .where('c.tenant_id', '=', tenantId)
    .orderBy('c.id')
    .orderBy('w.dialled_number', order => order.asc().nullsFirst())
    .orderBy('w.hours', order => order.asc().nullsFirst())
    .execute()
  const connections = new Map(rows.map(row => [row.connectionId, row]))
  return [...connections.values()].flatMap(({ connectionId, phoneNumberId, languages }) =>
    TEMPLATE_KINDS.flatMap(kind => {
      const own = ownTemplate(kind, { language: languageOf(languages) })
      const set = rows.filter(row => row.connectionId === connectionId && row.kind === kind)
      const hasGeneral = set.some(({ number, hours }) => number === null && hours === null)
      return [...(hasGeneral ? [] : [null]), ...set].map(row => ({
        connectionId,
        phoneNumberId,
        /** Null = it is a default without a row. */
        id: row?.id ?? null,
        kind,
        number: row?.number ?? null,
        hours: hours.nullable().parse(row?.hours ?? null),
        name: row?.name ?? own.name,
        language: row?.language ?? own.language,
        variables: (row?.variables ?? own.variables).join(','),
        body: row ? row.body : own.text,
        buttons: row?.buttons ?? [...own.buttons],
        labels: row?.labels ?? own.labels,
        state: row?.state ?? 'active',
        reason: row?.reason ?? '',
        category: row?.category ?? '',
        isHeld: row?.category === 'MARKETING' && row.isAgreed === false,
        differs: row?.differs ?? [],
        metaId: row?.metaId ?? null,
        metaStatus: row?.metaStatus ?? null,
        metaReason: row?.metaReason ?? null,
        submitError: row?.submitError ?? null,
        syncedAt: row?.syncedAt ?? null,
        stateAt: row?.stateAt ?? null,
      }))
    }),
  )
}
