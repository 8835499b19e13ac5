/** Which WhatsApp template each kind of message uses, for each WhatsApp number of a business. */
import { sql } from 'kysely'
import { z } from 'zod'
import { type Actor, audit, changedFields } from '../audit.ts'
import { lockTenant } from '../db/locks.ts'
import type { Trx } from '../db/kysely.ts'
import { userError } from '../errors.ts'
import { DEFAULT_TEMPLATES, type TemplateKind, VARIABLES } from '../whatsapp/templates.ts'
import type { categoryEvent, templateEvent } from '../whatsapp/webhook.ts'
import { tenantId } from './schema.ts'

export const TEMPLATE_KINDS = [
  'initial',
  'reminder_1',
  'reminder_2',
  'owner_notice',
] as const satisfies TemplateKind[]

const kind = z.enum(TEMPLATE_KINDS, TEMPLATE_KINDS.join(', '))

/** A change to the template of one kind of message. Without a kind nothing changes. */
export const templateChange = z
  .object({
    tenantId,
    kind: kind.optional(),
    name: z
      .string()
      .regex(/^[a-z0-9_]{1,512}$/, 'lower-case letters, digits and underscores')
      .optional(),
    language: z
      .string()
      .regex(/^[a-z]{2,3}(_[A-Z]{2})?$/, 'a code such as he or en_US')
      .optional(),
    variables: z.array(z.enum(VARIABLES, VARIABLES.join(', '))).optional(),
    resume: z.boolean().default(false),
    backToDefault: z.boolean().default(false),
  })
  .refine(
    ({ kind, name, language, variables, resume, backToDefault }) =>
      kind || !(name || language || variables || resume || backToDefault),
    {
      path: ['kind'],
      error: `one of ${TEMPLATE_KINDS.join(', ')}`,
    },
  )

export const templateResume = z.object({ tenantId, kind: kind.optional() })

type TemplateChange = z.infer<typeof templateChange> & { kind: TemplateKind }

/**
 * Sets the template of one kind for every WhatsApp number of a business. Missing fields do not change.
 *
 * @throws UserError if there is no such business, or if it has no WhatsApp number
 */
export const changeTemplate = async (
  trx: Trx,
  actor: Actor,
  { tenantId, kind, resume, backToDefault, ...given }: TemplateChange,
): Promise<void> => {
  await lockTenant(trx, tenantId)
  const before = (await templatesOf(trx, tenantId)).filter(template => template.kind === kind)
  if (before.length === 0)
    throw userError(
      'no_connection',
      `tenant ${tenantId} has no WhatsApp number: add one with npm run tenant -- connect`,
    )
  const preset = DEFAULT_TEMPLATES[kind]
  for (const { connectionId: id } of before) {
    if (backToDefault) {
      await trx
        .deleteFrom('whatsapp_templates')
        .where('whatsapp_connection_id', '=', id)
        .where('kind', '=', kind)
        .execute()
      continue
    }
    // Meta paused the previous template. Another one has its own approval.
    const isOther = given.name !== undefined || given.language !== undefined
    const active = resume || isOther
    const isPreset =
      (given.name ?? preset.name) === preset.name &&
      (given.language ?? preset.language) === preset.language
    await sql`
      insert into whatsapp_templates as w (tenant_id, whatsapp_connection_id, kind, name, language, variables, body)
      values (${tenantId}, ${id}, ${kind}, ${given.name ?? preset.name}, ${given.language ?? preset.language},
              ${given.variables ?? preset.variables}::text[], ${isPreset ? preset.text : null})
      on conflict on constraint whatsapp_templates_key do update set
        name = coalesce(${given.name ?? null}, w.name), language = coalesce(${given.language ?? null}, w.language),
        variables = coalesce(${given.variables ?? null}::text[], w.variables),
        marketing_agreed = ${resume} or w.marketing_agreed and not ${isOther},
        body = case when not ${isOther} then w.body else excluded.body end,
        buttons = case when not ${isOther} then w.buttons else '{}' end,
        button_labels = case when not ${isOther} then w.button_labels else '{}' end,
        category = case when not ${isOther} then w.category end,
        category_at = case when not ${isOther} then w.category_at end,
        state_at = case when not ${isOther} then w.state_at end,
        meta_id = case when not ${isOther} then w.meta_id end,
        meta_status = case when not ${isOther} then w.meta_status end,
        meta_reason = case when not ${isOther} then w.meta_reason end,
        synced_at = case when not ${isOther} then w.synced_at end,
        -- A person who resumes the template has seen what Meta has otherwise.
        differs = case when not ${active} then w.differs else '{}' end,
        state = case when ${active} then 'active' else w.state end,
        state_reason = case when ${active} then null else w.state_reason end`.execute(trx)
  }
  const after = await templatesOf(trx, tenantId)
  for (const template of before) {
    const { connectionId } = template
    const now = after.find(one => one.connectionId === connectionId && one.kind === kind)
    const changed = now && changedFields(template, now)
    if (changed)
      await audit(trx, actor, {
        tenantId,
        action: 'template.set',
        subject: `whatsapp_connections ${connectionId}`,
        before: { kind, ...changed.before },
        after: { kind, ...changed.after },
      })
  }
}

/**
 * Uses the paused templates again, and agrees that templates which Meta counts as marketing are sent.
 *
 * @param kind absent = of every kind
 * @throws UserError if there is no such business, or if it has no WhatsApp number
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
  const resumed = TEMPLATE_KINDS.filter(one => waiting.some(template => template.kind === one))
  for (const one of resumed)
    await changeTemplate(trx, actor, { tenantId, kind: one, resume: true, backToDefault: false })
  return { resumed }
}

/** The template of every kind of message, for every WhatsApp number of a business. */
export const templatesOf = async (trx: Trx, tenantId: string) => {
  const rows = await trx
    .selectFrom('whatsapp_connections as c')
    .leftJoin('whatsapp_templates as w', 'w.whatsapp_connection_id', 'c.id')
    .select([
      'c.id',
      'c.phone_number_id',
      'w.kind',
      'w.name',
      'w.language',
      'w.variables',
      'w.state',
      'w.state_reason',
      'w.category',
      'w.marketing_agreed',
      'w.differs',
    ])
    .where('c.tenant_id', '=', tenantId)
    .orderBy('c.id')
    .execute()
  const numbers = new Map(rows.map(row => [row.id, row.phone_number_id]))
  return [...numbers].flatMap(([connectionId, phoneNumberId]) =>
    TEMPLATE_KINDS.map(kind => {
      const set = rows.find(row => row.id === connectionId && row.kind === kind)
      const { name, language, variables } = DEFAULT_TEMPLATES[kind]
      return {
        connectionId,
        phoneNumberId,
        kind,
        name: set?.name ?? name,
        language: set?.language ?? language,
        variables: (set?.variables ?? variables).join(','),
        state: set?.state ?? 'active',
        reason: set?.state_reason ?? '',
        category: set?.category ?? '',
        isHeld: set?.category === 'MARKETING' && set.marketing_agreed === false,
        differs: set?.differs ?? [],
      }
    }),
  )
}

/** Meta's words, in updates and in the list of templates. Others change nothing: FLAGGED is only a warning. */
const STATE_AFTER = new Map<string, 'active' | 'paused'>(
  Object.entries({
    APPROVED: 'active',
    REINSTATED: 'active',
    UNARCHIVED: 'active',
    PENDING: 'paused',
    IN_APPEAL: 'paused',
    LIMIT_EXCEEDED: 'paused',
    PAUSED: 'paused',
    DISABLED: 'paused',
    REJECTED: 'paused',
    ARCHIVED: 'paused',
    PENDING_DELETION: 'paused',
    DELETED: 'paused',
  }),
)

/** Whether a template with this status can be sent. Undefined = the word does not tell. */
export const stateAfter = (status: string): 'active' | 'paused' | undefined =>
  STATE_AFTER.get(status.toUpperCase())

/** Events that are not the name of the state that they lead to. */
const META_STATUS: Record<string, string> = { REINSTATED: 'APPROVED', UNARCHIVED: 'APPROVED' }

type Source = {
  waba_id: string | null
  /** Null = the update is for every tenant with a number in this account. */
  tenant_id: string | null
  /** When Meta sent the update. */
  sent_at: Date | null
}

/** Of the connections `c`. */
const isConcerned = ({ waba_id, tenant_id }: Source) =>
  sql<boolean>`c.waba_id = ${waba_id} and (${tenant_id}::bigint is null or c.tenant_id = ${tenant_id}::bigint)`

/** A connection that uses a default template has no row until something about it is stored. */
const storeDefault = async (
  trx: Trx,
  source: Source,
  name: string,
  language: string | undefined,
): Promise<void> => {
  for (const [kind, template] of Object.entries(DEFAULT_TEMPLATES))
    if (template.name === name && (language === undefined || template.language === language))
      await sql`
        insert into whatsapp_templates (tenant_id, whatsapp_connection_id, kind, name, language, variables, body)
        select tenant_id, id, ${kind}, ${name}, ${template.language}, ${template.variables}::text[], ${template.text}
        from whatsapp_connections c where ${isConcerned(source)}
        on conflict on constraint whatsapp_templates_key do nothing`.execute(trx)
}

/**
 * Stores that Meta paused or reinstated a template, for every connection of the account that uses it. Updates come in any
 * order: one that is older than the last one changes nothing.
 */
export const templateChanged = async (
  trx: Trx,
  source: Source,
  {
    event,
    message_template_name: name,
    message_template_language: language,
    reason,
  }: z.infer<typeof templateEvent>['item'],
): Promise<string> => {
  const state = stateAfter(event)
  const { sent_at: sentAt } = source
  if (!state || !source.waba_id) return 'kept'
  await storeDefault(trx, source, name, language)
  const { numAffectedRows = 0n } = await sql`
    update whatsapp_templates w set
      state = ${state}, state_at = coalesce(${sentAt}, w.state_at),
      meta_status = ${META_STATUS[event.toUpperCase()] ?? event.toUpperCase()},
      meta_reason = nullif(${reason ?? null}, 'NONE'),
      state_reason = ${state === 'paused' ? `template ${event.toUpperCase()}` : null}
    from whatsapp_connections c
    where c.id = w.whatsapp_connection_id and ${isConcerned(source)} and w.name = ${name} and w.language = ${language}
      and not coalesce(${sentAt}::timestamptz < w.state_at, false)`.execute(trx)
  return numAffectedRows === 0n ? 'no_change' : `template_${state}`
}

/** Stores that Meta put a template into another category. While it is MARKETING, reminders wait until a person agrees. */
export const categoryChanged = async (
  trx: Trx,
  source: Source,
  {
    message_template_name: name,
    message_template_language: language,
    new_category,
  }: z.infer<typeof categoryEvent>['item'],
): Promise<string> => {
  const { sent_at: sentAt } = source
  await storeDefault(trx, source, name, language)
  const { numAffectedRows = 0n } = await sql`
    update whatsapp_templates w set
      category = ${new_category.toUpperCase()}, category_at = coalesce(${sentAt}, w.category_at), marketing_agreed = false
    from whatsapp_connections c
    where c.id = w.whatsapp_connection_id and ${isConcerned(source)} and w.name = ${name}
      and w.language = coalesce(${language ?? null}, w.language)
      and w.category is distinct from ${new_category.toUpperCase()}
      and not coalesce(${sentAt}::timestamptz < w.category_at, false)`.execute(trx)
  return numAffectedRows === 0n ? 'no_change' : 'template_category'
}
