import { sql } from 'kysely'
import { z } from 'zod'
import { decrypt, tokenOwner } from '../crypto.ts'
import type { Trx } from '../db/kysely.ts'
import type { Outgoing, TemplateContent } from '../whatsapp/client.ts'
import {
  BUTTONS,
  callTime,
  DEFAULT_TEMPLATES,
  fill,
  filledText,
  placeholdersIn,
  type TemplateKind,
  UNKNOWN_NAME,
  VARIABLES,
} from '../whatsapp/templates.ts'

/** The connection that a tenant sends through, with its template for one kind of message. */
export type Sender = {
  connectionId: string
  phoneNumberId: string
  /** Encrypted. */
  accessToken: string
  tenantId: string
  businessName: string
  timezone: string
  /** Null = the default template. */
  templateName: string | null
  templateLanguage: string
  templateVariables: string[]
  /** Null = not known. */
  templateBody: string | null
  templateButtons: string[]
  /** Meta paused or rejected the template. */
  templatePaused: boolean
  /** Meta counts a template for customers as marketing, and no person has agreed. Holds reminders. */
  isMarketing: boolean
}

/**
 * Chooses an active connection of the tenant: the one that wrote to this person before, else the one whose number
 * they dialled, else the oldest. Null = none is active.
 */
export const senderFor = async (
  trx: Trx,
  tenantId: string,
  kind: TemplateKind,
  { connectionId, dialled }: { connectionId: string | null; dialled: string | null },
): Promise<Sender | null> => {
  const { rows } = await sql<Sender>`
    select c.id as "connectionId", c.phone_number_id as "phoneNumberId", c.access_token as "accessToken",
           t.id as "tenantId", t.name as "businessName", t.timezone, w.name as "templateName",
           coalesce(w.language, '') as "templateLanguage", coalesce(w.variables, '{}') as "templateVariables",
           w.body as "templateBody", coalesce(w.buttons, '{}') as "templateButtons",
           coalesce(w.state = 'paused', false) as "templatePaused",
           exists (select from whatsapp_templates n where n.whatsapp_connection_id = c.id and n.kind <> 'owner_notice'
                   and n.category = 'MARKETING' and not n.marketing_agreed) as "isMarketing"
    from whatsapp_connections c
    join tenants t on t.id = c.tenant_id
    left join whatsapp_templates w on w.whatsapp_connection_id = c.id and w.kind = ${kind}
    where c.tenant_id = ${tenantId} and c.state = 'active'
    order by (c.id = ${connectionId}) desc nulls last, (c.display_phone_number = ${dialled}) desc nulls last, c.id
    limit 1`.execute(trx)
  return rows[0] ?? null
}

/** What the variables of a template say. */
export type About = {
  callerName: string | null
  callerPhone: string
  calledAt?: Date | null
  whatHappened?: string
}

/** The template that is sent, filled in, and the text that the person gets. Null = its body is not known. */
export type Filled = TemplateContent & { filledText: string | null }

export const fillTemplate = (sender: Sender, kind: TemplateKind, about: About): Filled => {
  const template =
    sender.templateName === null
      ? DEFAULT_TEMPLATES[kind]
      : {
          name: sender.templateName,
          language: sender.templateLanguage,
          variables: z.array(z.enum(VARIABLES)).parse(sender.templateVariables),
        }
  const body = sender.templateName === null ? DEFAULT_TEMPLATES[kind].text : sender.templateBody
  const content = fill(template, {
    business_name: sender.businessName,
    caller_name: about.callerName ?? UNKNOWN_NAME,
    call_time: about.calledAt ? callTime(about.calledAt, sender.timezone) : '',
    caller_phone: about.callerPhone,
    what_happened: about.whatHappened ?? '',
  })
  // Meta refuses more values than the template has variables.
  const variables =
    body === null ? content.variables : content.variables.slice(0, placeholdersIn(body))
  return {
    ...content,
    variables,
    buttons: z.array(z.enum(BUTTONS)).parse(sender.templateButtons),
    filledText: body === null ? null : filledText(body, variables),
  }
}

/** A message that is ready to be sent. */
export const buildMessage = (
  sender: Sender,
  message: Pick<Outgoing, 'messageId' | 'to' | 'content'>,
): Outgoing => ({
  ...message,
  phoneNumberId: sender.phoneNumberId,
  accessToken: decrypt(sender.accessToken, tokenOwner(sender.tenantId)),
})
