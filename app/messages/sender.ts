import { sql } from 'kysely'
import { z } from 'zod'
import type { Trx } from '../db/kysely.ts'
import { decrypt, tokenOwner } from '../crypto.ts'
import type { Outgoing } from '../whatsapp/client.ts'
import {
  callTime,
  DEFAULT_TEMPLATES,
  fill,
  type Template,
  type TemplateKind,
  UNKNOWN_NAME,
  VARIABLES,
} from '../whatsapp/templates.ts'

/** The number a tenant writes from, and what it says. */
export type Sender = {
  connectionId: string
  phoneNumberId: string
  accessToken: string
  businessName: string
  timezone: string
  template: Template
  /** Meta has paused or refused the template: nothing of this kind goes out for now. */
  templatePaused: boolean
}

type Row = {
  id: string
  phone_number_id: string
  access_token: string
  business_name: string
  timezone: string
  template_name: string | null
  template_language: string
  template_variables: string[]
  template_paused: boolean
}

/** What a customer knows already: the number that wrote to her, or else the one she dialled. */
type Known = { connectionId?: string | null; dialled?: string | null }

/**
 * Through which of its active connections a tenant sends: the one the customer knows, else the oldest.
 * Null if none is active.
 */
export const senderFor = async (
  trx: Trx,
  tenantId: string,
  kind: TemplateKind,
  { connectionId = null, dialled = null }: Known,
): Promise<Sender | null> => {
  const { rows } = await sql<Row>`
    select c.id, c.phone_number_id, c.access_token, t.name as business_name, t.timezone,
           w.name as template_name, w.language as template_language, w.variables as template_variables,
           coalesce(w.state = 'paused', false) as template_paused
    from whatsapp_connections c
    join tenants t on t.id = c.tenant_id
    left join whatsapp_templates w on w.whatsapp_connection_id = c.id and w.kind = ${kind}
    where c.tenant_id = ${tenantId} and c.state = 'active'
    order by (c.id = ${connectionId}) desc nulls last, (c.display_phone_number = ${dialled}) desc nulls last, c.id
    limit 1`.execute(trx)
  const [row] = rows
  if (!row) return null
  return {
    connectionId: row.id,
    phoneNumberId: row.phone_number_id,
    accessToken: decrypt(row.access_token, tokenOwner(tenantId)),
    businessName: row.business_name,
    timezone: row.timezone,
    template: row.template_name
      ? {
          name: row.template_name,
          language: row.template_language,
          variables: z.array(z.enum(VARIABLES)).parse(row.template_variables),
        }
      : DEFAULT_TEMPLATES[kind],
    templatePaused: row.template_paused,
  }
}

/** What a message says is filled with this. */
type About = {
  callerName: string | null
  callerPhone: string
  calledAt?: Date
  whatHappened?: string
}

/** A claimed message, with the sender's template filled in. */
export const buildMessage = (
  sender: Sender,
  messageId: string,
  to: string,
  about: About,
): Outgoing => ({
  messageId,
  phoneNumberId: sender.phoneNumberId,
  accessToken: sender.accessToken,
  to,
  content: fill(sender.template, {
    business_name: sender.businessName,
    caller_name: about.callerName ?? UNKNOWN_NAME,
    call_time: about.calledAt ? callTime(about.calledAt, sender.timezone) : '',
    caller_phone: about.callerPhone,
    what_happened: about.whatHappened ?? '',
  }),
})
