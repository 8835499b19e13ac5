import type { Trx } from './db/kysely.ts'

/** Who acts: a user of /ops, an owner by WhatsApp, a program with an API token, or a command on the machine. */
export type Actor =
  | { as: 'operator' }
  | { as: 'tenant'; tenantId: string }
  | { as: 'owner'; tenantId: string }
  | { as: 'api token'; tokenId: string }
  | { as: 'command line' }

/** An action of a person. It must not contain phone numbers of callers or secrets, only ids. */
export type AuditEntry = {
  /** null = no tenant in particular */
  tenantId: string | null
  /** `<noun>.<verb>`: tenant.set, outreach.cancel, delivery.discard */
  action: `${string}.${string}`
  /** `<table> <id>`: missed_calls 12 */
  subject: string
  /** Only what changed. null = it did not exist before, or does not exist any more. */
  before: Record<string, unknown> | null
  after: Record<string, unknown> | null
}

const actorName = (actor: Actor): string => {
  if (actor.as === 'tenant' || actor.as === 'owner') return `${actor.as} ${actor.tenantId}`
  return actor.as === 'api token' ? `api token ${actor.tokenId}` : actor.as
}

/** Records an action in the transaction of the action, so that neither exists without the other. */
export const audit = async (trx: Trx, actor: Actor, entry: AuditEntry): Promise<void> => {
  const { tenantId, before, after, ...rest } = entry
  await trx
    .insertInto('audit_log')
    .values({
      ...rest,
      who: actorName(actor),
      tenant_id: tenantId,
      before: before && JSON.stringify(before),
      after: after && JSON.stringify(after),
    })
    .execute()
}

type Values = Record<string, unknown>

/** The fields that differ, before and after. Null if none does. */
export const changedFields = (
  before: Values,
  after: Values,
): { before: Values; after: Values } | null => {
  const changed = Object.keys(after).filter(
    name => JSON.stringify(before[name]) !== JSON.stringify(after[name]),
  )
  if (changed.length === 0) return null
  const only = (values: Values) => Object.fromEntries(changed.map(name => [name, values[name]]))
  return { before: only(before), after: only(after) }
}
