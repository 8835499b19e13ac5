import { sql } from 'kysely'
import type { z } from 'zod'
import type { Trx } from '../db/kysely.ts'
import type { templateEvent } from './webhook.ts'
import { DEFAULT_TEMPLATES } from './templates.ts'

const STATE = new Map<string, 'active' | 'paused'>(
  Object.entries({
    APPROVED: 'active',
    REINSTATED: 'active',
    PAUSED: 'paused',
    DISABLED: 'paused',
    REJECTED: 'paused',
  }),
)

/** Meta has paused a template, or lets it go again: for every connection of that account that uses it. */
export const templateChanged = async (
  trx: Trx,
  wabaId: string | null,
  {
    event,
    message_template_name: name,
    message_template_language: language,
  }: z.infer<typeof templateEvent>['item'],
): Promise<string> => {
  const state = STATE.get(event)
  if (!state || !wabaId) return 'kept'
  // Where the connection uses a default, there is no row yet to put the state into.
  for (const [kind, template] of Object.entries(DEFAULT_TEMPLATES))
    if (template.name === name && template.language === language)
      await sql`
        insert into whatsapp_templates (whatsapp_connection_id, kind, name, language, variables)
        select id, ${kind}, ${name}, ${language}, ${template.variables}::text[] from whatsapp_connections where waba_id = ${wabaId}
        on conflict on constraint whatsapp_templates_key do nothing`.execute(trx)
  await sql`
    update whatsapp_templates w set state = ${state}, state_reason = ${state === 'paused' ? `template ${event}` : null}
    from whatsapp_connections c
    where c.id = w.whatsapp_connection_id and c.waba_id = ${wabaId} and w.name = ${name} and w.language = ${language}`.execute(
    trx,
  )
  return `template_${state}`
}
