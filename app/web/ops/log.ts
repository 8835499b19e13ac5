/** The audit log: who did what by hand. */
import { Router } from 'express'
import { sql } from 'kysely'
import type { Trx } from '../../db/kysely.ts'
import { actorText } from './actor.ts'
import { DEFAULT_TIMEZONE, dateTime, formatSpan, formatWindow, telephone } from './format.ts'
import { html, type Html, table } from './html.ts'
import { type Language, translations } from './language.ts'
import { layoutTexts } from './layout.ts'
import { logFieldTexts } from './locales/log_fields.ts'
import { cursorParam, ID, reportPage, requestedTenant } from './page.ts'

const PAGE_SIZE = 50

type AuditRow = {
  id: string
  at: Date
  who: string
  action: string
  subject: string
  before: Record<string, unknown> | null
  after: Record<string, unknown> | null
  /** The log holds no phone numbers. This one comes from the lead or the missed call, if it still exists. */
  phone: string | null
  leadId: string | null
  /** The name of the tenant that it is about, and of the tenant that did it. */
  tenant: string | null
  actorTenant: string | null
  timezone: string | null
}

const loadEntries = async (
  trx: Trx,
  tenantId: string | null,
  before: string | null,
): Promise<AuditRow[]> => {
  const { rows } = await sql<AuditRow>`
    with entries as (
      select *, split_part(subject, ' ', 1) as kind, substring(subject from '^\\w+ ([0-9]{1,18})$')::bigint as subject_id
      from audit_log
      where (${tenantId}::bigint is null or tenant_id = ${tenantId}) and (${before}::bigint is null or id < ${before})
      order by id desc limit ${PAGE_SIZE}
    )
    select e.id, e.at, e.who, e.action, e.subject, e.before, e.after, coalesce(l.phone, m.caller_phone) as phone,
           l.id as "leadId", t.name as tenant, t.timezone, a.name as "actorTenant"
    from entries e
    left join messages s on e.kind = 'messages' and s.id = e.subject_id and s.tenant_id = e.tenant_id
    left join leads l on l.id = case e.kind when 'leads' then e.subject_id else s.lead_id end and l.tenant_id = e.tenant_id
    left join tenants t on t.id = e.tenant_id
    left join tenants a on a.id = substring(e.who from '^tenant ([0-9]{1,18})$')::bigint
    left join missed_calls m on e.kind = 'missed_calls' and m.id = e.subject_id and m.tenant_id = e.tenant_id
    order by e.id desc`.execute(trx)
  return rows
}

const actorName = ({ who, actorTenant }: AuditRow, language: Language): Html => {
  const text = actorText(who, language)
  if (text !== null) return html`${text}`
  const id = who.replace('tenant ', '')
  const name = actorTenant ?? `${layoutTexts[language].business} ${id}`
  return html`<a href="/ops/tenants/${id}"><bdi>${name}</bdi></a>`
}

const SUBJECT_PAGES: Record<string, string> = {
  leads: '/ops/leads/',
  missed_calls: '/ops/calls/missed/',
  raw_cdrs: '/ops/calls/',
  tenants: '/ops/tenants/',
}

const subjectLink = (entry: AuditRow, language: Language): Html => {
  const { subject, phone, leadId } = entry
  const [kind = '', id = ''] = subject.split(' ')
  const rest = subject.slice(kind.length + 1)
  const kinds: Record<string, string> = logTexts[language].subjects
  const label = kinds[kind] ?? kind.replaceAll('_', ' ')
  const about = kind === 'tenants' || kind === 'call_log_access' ? entry.tenant : null
  const name =
    phone !== null
      ? telephone(phone)
      : about !== null
        ? html`<bdi>${about}</bdi>`
        : html`${label} ${rest.startsWith('+') ? telephone(rest) : html`<bdi>${rest}</bdi>`}`
  if (leadId !== null) return html`<a href="/ops/leads/${leadId}">${name}</a>`
  // An erased person has no page.
  const isGone = kind === 'leads'
  const path =
    SUBJECT_PAGES[kind] && /^\d+$/.test(id) && !isGone ? `${SUBJECT_PAGES[kind]}${id}` : null
  return path ? html`<a href="${path}">${name}</a>` : name
}

const ISO_DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/
const E164 = /^\+\d{8,15}$/

const lookUp = (texts: Record<string, string>, key: string): string | null =>
  Object.hasOwn(texts, key) ? (texts[key] ?? null) : null

/** A name that has no text, in plain words: `some_column`, `someField`. */
const inWords = (name: string): string =>
  name
    .replaceAll('_', ' ')
    .replace(/([a-z\d])([A-Z])/g, '$1 $2')
    .toLowerCase()

const fieldName = (name: string, language: Language): string =>
  lookUp(logFieldTexts[language].fields, name) ?? inWords(name)

const changedValue = (value: unknown, language: Language, timezone: string): Html => {
  if (value === null || value === undefined || value === '' || (Array.isArray(value) && !value[0]))
    return html`${logTexts[language].nothing}`
  if (Array.isArray(value))
    return html`${value.map((one, n) => html`${n > 0 && ', '}${changedValue(one, language, timezone)}`)}`
  if (typeof value === 'object')
    return html`${Object.entries(value).map(
      ([name, one], n) =>
        html`${n > 0 && ', '}${fieldName(name, language)}: ${changedValue(one, language, timezone)}`,
    )}`
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  if (ISO_DATE.test(text)) return dateTime(new Date(text), language, timezone)
  if (E164.test(text)) return telephone(text)
  return html`<bdi
    >${lookUp(logFieldTexts[language].values, text) ?? formatWindow(language, formatSpan(language, text))}</bdi
  >`
}

const changes = ({ before, after }: AuditRow, language: Language, timezone: string): Html => {
  const isSet = (values: AuditRow['before'], name: string) => (values?.[name] ?? '') !== ''
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])].filter(
    // A field that was empty before and after is no change.
    name => isSet(before, name) || isSet(after, name),
  )
  // It points in the direction of reading.
  const arrow = language === 'he' ? '←' : '→'
  return html`<dl class="values">
    ${names.map(
      name =>
        html`<dt>${fieldName(name, language)}</dt>
          <dd>
            ${before && name in before && html`${changedValue(before[name], language, timezone)} ${arrow} `}
            ${changedValue(after?.[name], language, timezone)}
          </dd>`,
    )}
  </dl>`
}

export const logPages = Router()

logPages.get(
  '/log',
  reportPage(async (trx, context) => {
    const { language } = context
    const texts = logTexts[language]
    const actions: Record<string, string> = texts.actions
    const cursor = cursorParam(context, ID)
    const tenantId = requestedTenant(context)
    const rows = await loadEntries(trx, tenantId, cursor)
    // One zone for the whole list, so that its times are in order.
    const timezone = (tenantId && rows[0]?.timezone) || DEFAULT_TIMEZONE
    const last = rows.length === PAGE_SIZE && rows.at(-1)
    const tenant = tenantId && !context.tenantScope ? `tenant=${tenantId}&` : ''
    return {
      name: 'log',
      title: texts.title,
      body: html`<h1>${texts.title}</h1>
        ${
          rows.length === 0
            ? html`<p class="empty">${texts.none}</p>`
            : table(rows, [
                [texts.when, ({ at }) => dateTime(at, language, timezone)],
                [texts.who, entry => actorName(entry, language)],
                [texts.what, ({ action }) => html`${actions[action] ?? action}`],
                [texts.subject, entry => subjectLink(entry, language)],
                [texts.changes, entry => changes(entry, language, timezone)],
              ])
        }
        ${last && html`<p><a class="button" href="/ops/log?${tenant}before=${last.id}">${texts.older}</a></p>`}`,
    }
  }),
)

export const logTexts = translations(
  {
    title: 'Log of actions',
    when: 'When',
    who: 'Who',
    what: 'Action',
    subject: 'On',
    changes: 'Changes',
    none: 'There are no actions yet.',
    older: 'Older actions',
    nothing: 'empty',
    /** By table. */
    subjects: {
      call_log_access: 'call log of business',
      event_endpoints: 'address for events',
      excluded_numbers: 'excluded number',
      jobs: 'job',
      leads: 'person',
      messages: 'message',
      opt_outs: 'opt-out',
      missed_calls: 'call',
      raw_cdrs: 'call report',
      rejected_deliveries: 'rejected report',
      tenant_numbers: 'number',
      tenants: 'business',
      webhook_tokens: 'webhook URL',
      whatsapp_connections: 'WhatsApp number',
      whatsapp_templates: 'template',
    },
    actions: {
      'call_log.end': 'Removed the access to the call log',
      'call_log.set': 'Added access to the call log',
      'calls.reclassify': 'Decided calls again',
      'connection.add': 'Connected a WhatsApp number',
      'connection.check': 'Asked Meta about the WhatsApp numbers',
      'connection.pause': 'Paused a WhatsApp number',
      'connection.resume': 'Resumed a WhatsApp number',
      'connection.retire': 'Replaced the ID of a WhatsApp number',
      'connection.set': 'Changed a WhatsApp number',
      'delivery.discard': 'Discarded a rejected delivery',
      'delivery.reread': 'Read rejected deliveries again',
      'event_endpoint.add': 'Added an address for events',
      'event_endpoint.remove': 'Removed an address for events',
      'event_endpoint.resend': 'Sent events again',
      'event_endpoint.rotate': 'Created a new key for events',
      'event_endpoint.test': 'Sent a test event',
      'exclusion.add': 'Excluded a number',
      'exclusion.remove': 'Ended the exclusion of a number',
      'exclusions.add': 'Excluded numbers',
      'export.calls': 'Exported calls',
      'export.events': 'Exported events',
      'export.exclusions': 'Exported excluded numbers',
      'export.campaigns': 'Exported campaigns',
      'export.leads': 'Exported people',
      'export.messages': 'Exported messages',
      'job.discard': 'Discarded a job',
      'job.retry': 'Retried a job',
      'lead.called_back': 'Marked as called back',
      'lead.called_back_undo': 'Took “called back” back',
      'lead.later': 'Put off until the next day',
      'lead.note': 'Changed the note on a person',
      'lead.outcome': 'Set the outcome of a person',
      'message.refuse': 'A reply by hand was not allowed',
      'message.send': 'Replied by hand',
      'message.settle': 'Marked whether a message arrived',
      'number.add': 'Added a number',
      'number.confirm': 'Confirmed a number',
      'number.remove': 'Removed a number',
      'opt_out.add': 'Opted out a person',
      'opt_out.remove': 'Removed an opt-out',
      'opt_outs.add': 'Added people who get no messages',
      'outreach.cancel': 'Cancelled a message',
      'outreach.send_now': 'Sent a message at once',
      'password.set': 'Set the password',
      'person.forget': 'Erased a person',
      'session.end': 'Signed out on all devices',
      'template.set': 'Changed a template',
      'template.sync': 'Compared the templates with Meta',
      'template.submit': 'Submitted the templates to Meta',
      'template.resubmit': 'Submitted another text of a template',
      'tenant.add': 'Added a business',
      'tenant.set': 'Changed the settings',
      'test_message.send': 'Sent a test message',
      'webhook_token.add': 'Created a webhook URL',
      'webhook_token.revoke': 'Revoked a webhook URL',
      'api_token.add': 'Created an API token',
      'api_token.revoke': 'Revoked an API token',
    },
  },
  {
    title: 'היסטוריית פעולות',
    when: 'מתי',
    who: 'מי',
    what: 'פעולה',
    subject: 'על מה',
    changes: 'שינויים',
    none: 'עדיין אין פעולות.',
    older: 'פעולות ישנות יותר',
    nothing: 'ריק',
    subjects: {
      call_log_access: 'יומן השיחות של עסק',
      event_endpoints: 'כתובת לאירועים',
      excluded_numbers: 'מספר מוחרג',
      jobs: 'משימה',
      leads: 'אדם',
      messages: 'הודעה',
      opt_outs: 'בקשה לא לשלוח',
      missed_calls: 'שיחה',
      raw_cdrs: 'דיווח שיחה',
      rejected_deliveries: 'דיווח שנדחה',
      tenant_numbers: 'מספר',
      tenants: 'עסק',
      webhook_tokens: 'כתובת Webhook',
      whatsapp_connections: 'מספר WhatsApp',
      whatsapp_templates: 'תבנית',
    },
    actions: {
      'call_log.end': 'ביטול הגישה ליומן השיחות',
      'call_log.set': 'הוספת גישה ליומן השיחות',
      'calls.reclassify': 'בדיקה חוזרת של שיחות',
      'connection.add': 'חיבור מספר WhatsApp',
      'connection.check': 'בדיקת מספרי ה־WhatsApp מול Meta',
      'connection.pause': 'השהיית מספר WhatsApp',
      'connection.resume': 'חידוש מספר WhatsApp',
      'connection.retire': 'החלפת המזהה של מספר WhatsApp',
      'connection.set': 'שינוי מספר WhatsApp',
      'delivery.discard': 'מחיקת דיווח שנדחה',
      'delivery.reread': 'קריאה חוזרת של דיווחים שנדחו',
      'event_endpoint.add': 'הוספת כתובת לאירועים',
      'event_endpoint.remove': 'הסרת כתובת לאירועים',
      'event_endpoint.resend': 'שליחה חוזרת של אירועים',
      'event_endpoint.rotate': 'יצירת מפתח חדש לאירועים',
      'event_endpoint.test': 'שליחת אירוע בדיקה',
      'exclusion.add': 'החרגת מספר',
      'exclusion.remove': 'ביטול החרגה של מספר',
      'exclusions.add': 'החרגת מספרים',
      'export.calls': 'ייצוא שיחות',
      'export.events': 'ייצוא אירועים',
      'export.exclusions': 'ייצוא מספרים מוחרגים',
      'export.campaigns': 'ייצוא קמפיינים',
      'export.leads': 'ייצוא אנשים',
      'export.messages': 'ייצוא הודעות',
      'job.discard': 'ביטול משימה',
      'job.retry': 'ניסיון חוזר של משימה',
      'lead.called_back': 'סימון שחזרו בטלפון',
      'lead.called_back_undo': 'ביטול הסימון שחזרו בטלפון',
      'lead.later': 'דחייה למחר',
      'lead.note': 'שינוי הערה על אדם',
      'lead.outcome': 'קביעת תוצאה',
      'message.refuse': 'תשובה ידנית שלא הותרה',
      'message.send': 'תשובה ידנית',
      'message.settle': 'סימון אם הודעה הגיעה',
      'number.add': 'הוספת מספר',
      'number.confirm': 'אישור מספר',
      'number.remove': 'הסרת מספר',
      'opt_out.add': 'הפסקת הודעות למספר',
      'opt_out.remove': 'חידוש הודעות למספר',
      'opt_outs.add': 'הוספת אנשים שלא מקבלים הודעות',
      'outreach.cancel': 'ביטול הודעה',
      'outreach.send_now': 'שליחת הודעה מיד',
      'password.set': 'קביעת סיסמה',
      'person.forget': 'מחיקת אדם',
      'session.end': 'יציאה בכל המכשירים',
      'template.set': 'שינוי תבנית',
      'template.sync': 'השוואת התבניות ל־Meta',
      'template.submit': 'הגשת התבניות ל־Meta',
      'template.resubmit': 'הגשת נוסח אחר של תבנית',
      'tenant.add': 'הוספת עסק',
      'tenant.set': 'שינוי הגדרות',
      'test_message.send': 'שליחת הודעת בדיקה',
      'webhook_token.add': 'יצירת כתובת Webhook',
      'webhook_token.revoke': 'ביטול כתובת Webhook',
      'api_token.add': 'יצירת מפתח API',
      'api_token.revoke': 'ביטול מפתח API',
    },
  },
)
