/** What Meta's webhooks tell about templates. */
import { sql } from 'kysely'
import type { z } from 'zod'
import type { Trx } from '../db/kysely.ts'
import { ownTemplate } from '../whatsapp/own_templates.ts'
import { LANGUAGES } from '../whatsapp/templates.ts'
import type { categoryEvent, templateEvent } from '../whatsapp/webhook.ts'
import { TEMPLATE_KINDS } from './template_change.ts'

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
  for (const known of LANGUAGES.filter(one => language === undefined || one === language))
    for (const kind of TEMPLATE_KINDS) {
      const own = ownTemplate(kind, { language: known })
      if (own.name !== name) continue
      await sql`
        insert into whatsapp_templates (tenant_id, whatsapp_connection_id, kind, name, language, variables, body)
        select c.tenant_id, c.id, ${kind}, ${name}, ${known}, ${own.variables}::text[], ${own.text}
        from whatsapp_connections c join tenants t on t.id = c.tenant_id
        where ${isConcerned(source)} and t.languages[1] = ${known}
        on conflict on constraint whatsapp_templates_key do nothing`.execute(trx)
    }
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
    message_template_category: category,
  }: z.infer<typeof templateEvent>['item'],
): Promise<string> => {
  const state = stateAfter(event)
  const { sent_at: sentAt } = source
  if (!source.waba_id || !(state || isMarketing(category))) return 'kept'
  await storeDefault(trx, source, name, language)
  // Only MARKETING counts: a price may have told it, which says more than the category that Meta lists.
  const isNowMarketing =
    category !== undefined &&
    isMarketing(category) &&
    (await storeCategory(trx, source, { name, language, category }))
  if (!state) return isNowMarketing ? 'template_category' : 'no_change'
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

/**
 * Stores that Meta put a template into another category. While it is MARKETING, reminders wait until a person agrees. They
 * wait from the announcement on, so that none is sent as marketing unnoticed.
 */
export const categoryChanged = async (
  trx: Trx,
  source: Source,
  {
    message_template_name: name,
    message_template_language: language,
    new_category: present,
    correct_category: announced,
  }: z.infer<typeof categoryEvent>['item'],
): Promise<string> => {
  const category = isMarketing(announced) ? announced : present
  if (!category) return 'kept'
  await storeDefault(trx, source, name, language)
  return (await storeCategory(trx, source, { name, language, category }))
    ? 'template_category'
    : 'no_change'
}

const isMarketing = (category: string | undefined): boolean =>
  category?.toUpperCase() === 'MARKETING'

/** @returns whether a row changed: an update that is older than the last one changes none */
const storeCategory = async (
  trx: Trx,
  source: Source,
  { name, language, category }: { name: string; language: string | undefined; category: string },
): Promise<boolean> => {
  const { sent_at: sentAt } = source
  const { numAffectedRows = 0n } = await sql`
    update whatsapp_templates w set
      category = ${category.toUpperCase()}, category_at = coalesce(${sentAt}, w.category_at), marketing_agreed = false
    from whatsapp_connections c
    where c.id = w.whatsapp_connection_id and ${isConcerned(source)} and w.name = ${name}
      and w.language = coalesce(${language ?? null}, w.language)
      and w.category is distinct from ${category.toUpperCase()}
      and not coalesce(${sentAt}::timestamptz < w.category_at, false)`.execute(trx)
  return numAffectedRows > 0n
}
