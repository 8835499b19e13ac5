import { sql } from 'kysely'
import { z } from 'zod'
import { decrypt, tokenOwner } from '../crypto.ts'
import type { Trx } from '../db/kysely.ts'
import { localNumber } from '../phone.ts'
import type { Outgoing, TemplateContent } from '../whatsapp/client.ts'
import {
  BUTTONS,
  callTime,
  fill,
  filledText,
  LANGUAGES,
  placeholdersIn,
  type TemplateKind,
  unknownName,
  VARIABLES,
} from '../whatsapp/templates.ts'
import { type Candidate, chooseTemplate, hoursAt } from './template_choice.ts'

/** The connection that a tenant sends through, with its template for one kind of message. */
export type Sender = Omit<SenderRow, 'languages' | 'openingHours' | 'templates'> & {
  template: Candidate
  /** Meta paused or rejected the template, or has not approved it yet. */
  templatePaused: boolean
}

export type SenderRow = {
  connectionId: string
  phoneNumberId: string
  /** Encrypted. */
  accessToken: string
  tenantId: string
  businessName: string
  timezone: string
  languages: string[]
  openingHours: string[]
  /** The templates of the connection for this kind of message. */
  templates: unknown
  /** Meta counts a template for customers as marketing, and no person has agreed. Holds reminders. */
  isMarketing: boolean
}

const candidates = z.array(
  z.object({
    number: z.string().nullable(),
    hours: z.enum(['open', 'closed']).nullable(),
    name: z.string(),
    language: z.string(),
    variables: z.array(z.enum(VARIABLES)),
    body: z.string().nullable(),
    buttons: z.array(z.enum(BUTTONS)),
    isActive: z.boolean(),
  }),
)

/**
 * Chooses an active connection of the tenant: the one that wrote to this person before, else the one whose number
 * they dialled, else the oldest. Null = none is active.
 */
export const senderFor = async (
  trx: Trx,
  tenantId: string,
  kind: TemplateKind,
  { connectionId, dialled }: { connectionId: string | null; dialled: string | null },
  now: Date,
): Promise<Sender | null> => {
  const { rows } = await sql<SenderRow>`
    select c.id as "connectionId", c.phone_number_id as "phoneNumberId", c.access_token as "accessToken",
           t.id as "tenantId", t.name as "businessName", t.timezone, t.languages, t.opening_hours as "openingHours",
           coalesce((select jsonb_agg(jsonb_build_object('number', w.dialled_number, 'hours', w.hours, 'name', w.name,
                       'language', w.language, 'variables', w.variables, 'body', w.body, 'buttons', w.buttons,
                       'isActive', w.state = 'active'))
                     from whatsapp_templates w where w.whatsapp_connection_id = c.id and w.kind = ${kind}), '[]') as templates,
           exists (select from whatsapp_templates n where n.whatsapp_connection_id = c.id and n.kind <> 'owner_notice'
                   and n.category = 'MARKETING' and not n.marketing_agreed) as "isMarketing"
    from whatsapp_connections c
    join tenants t on t.id = c.tenant_id
    where c.tenant_id = ${tenantId} and c.state = 'active'
    order by (c.id = ${connectionId}) desc nulls last, (c.display_phone_number = ${dialled}) desc nulls last, c.id
    limit 1`.execute(trx)
  const [row] = rows
  if (!row) return null
  const { languages, openingHours, templates, ...sender } = row
  const template = chooseTemplate(
    candidates.parse(templates),
    kind,
    LANGUAGES.find(one => one === languages[0]) ?? 'he',
    { number: dialled, hours: hoursAt(now, openingHours, row.timezone) },
  )
  return { ...sender, template, templatePaused: !template.isActive }
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

export const fillTemplate = ({ template, ...sender }: Sender, about: About): Filled => {
  const { body, buttons, language } = template
  const content = fill(template, {
    business_name: sender.businessName,
    caller_name: about.callerName ?? unknownName(language, about.whatHappened !== undefined),
    call_time: about.calledAt ? callTime(about.calledAt, sender.timezone) : '',
    // In a right-to-left text a plus would be shown at the end.
    caller_phone: localNumber(about.callerPhone).replace(/^\+/, '\u200e+'),
    what_happened: about.whatHappened ?? '',
  })
  // Meta refuses more values than the template has variables.
  const variables =
    body === null ? content.variables : content.variables.slice(0, placeholdersIn(body))
  return {
    ...content,
    variables,
    buttons,
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
