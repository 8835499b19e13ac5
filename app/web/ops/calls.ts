/** The list of calls, with a search. */
import { Router } from 'express'
import type { Context } from './access.ts'
import {
  CALL_STATES,
  type CallFilter,
  type CallRow,
  type CallState,
  findCalls,
  parseFilter,
} from './call_search.ts'
import { dateTime, DEFAULT_TIMEZONE, telephone } from './format.ts'
import { html, type Html, table } from './html.ts'
import { translations } from './language.ts'
import { layoutTexts } from './layout.ts'
import { type Choice, reportPage, searchInstead, tenantOptions, tenantsFor } from './page.ts'
import { callerName, explainCall, missedReason, verdictBadge } from './why.ts'

const option = (value: string, label: string | Html, chosen: string | null | undefined) =>
  html`<option value="${value}" ${(chosen ?? '') === value && html`selected`}>${label}</option>`

const filterForm = (context: Context, choice: Choice, filter: CallFilter) => {
  const { language, tenantScope, params } = context
  const texts = callsTexts[language]
  const { business, allBusinesses, show } = layoutTexts[language]
  const { tenants, chosen } = choice
  const states = (group: keyof typeof CALL_STATES) =>
    html`<optgroup label="${texts.groups[group]}">
      ${CALL_STATES[group].map((state: CallState) => option(state, texts.states[state], filter.state))}
    </optgroup>`
  return html`<form class="filter card" action="/ops/calls">
    ${
      !tenantScope &&
      tenants !== null &&
      tenants.length > 1 &&
      html`<label
        >${business}
        <select name="tenant">
          ${tenantOptions(tenants, chosen, allBusinesses)}
        </select></label
      >`
    }
    ${
      tenants === null &&
      html`${chosen && html`<input type="hidden" name="tenant" value="${chosen.id}" />`}
        <div class="row">${searchInstead('/ops/calls', chosen, context)}</div>`
    }
    <label
      >${texts.state}
      <select name="state">
        ${option('', texts.allCalls, filter.state)} ${states('call')} ${states('message')}
        ${states('none')}
      </select></label
    >
    <label
      >${texts.number}
      <input
        name="number"
        type="search"
        inputmode="tel"
        dir="ltr"
        maxlength="100"
        title="${texts.numberHelp}"
        placeholder="050-123-4567"
        value="${params['number']}"
    /></label>
    <label>${texts.from} <input name="from" type="date" value="${filter.from}" /></label>
    <label>${texts.until} <input name="until" type="date" value="${filter.until}" /></label>
    <button class="main">${show}</button>
  </form>`
}

/** The number of the tenant; for the operator, with its name. */
const businessNumber = (call: CallRow, { tenantScope }: Context) =>
  html`${telephone(call.businessPhone)}
  ${
    !tenantScope &&
    call.tenantName !== null &&
    call.verdict !== 'unmatched_number' &&
    html`<br /><small><bdi>${call.tenantName}</bdi></small>`
  }`

const callsTable = (calls: CallRow[], context: Context) => {
  const { language } = context
  const texts = callsTexts[language]
  const isOutgoing = ({ verdict, reason }: CallRow) =>
    verdict === 'not_inbound' && reason === 'outgoing'
  // The same number in every row says nothing, as for a tenant with one line.
  const hasOneLine =
    context.tenantScope !== null &&
    !calls.some(isOutgoing) &&
    new Set(calls.map(({ businessPhone }) => businessPhone)).size === 1
  return table(calls, [
    [
      texts.when,
      ({ page, at, timezone }) =>
        html`<a href="/ops/calls/${page}"
          >${dateTime(at, language, timezone ?? DEFAULT_TIMEZONE)}</a
        >`,
    ],
    [
      texts.caller,
      call => (isOutgoing(call) ? businessNumber(call, context) : callerName(language, call)),
    ],
    !hasOneLine && [
      texts.line,
      call => (isOutgoing(call) ? callerName(language, call) : businessNumber(call, context)),
    ],
    [
      texts.call,
      call => html`${verdictBadge(language, call)} <small>${missedReason(language, call)}</small>`,
    ],
    [texts.result, call => explainCall(language, call), 'wide'],
  ])
}

const emptyText = ({ number, from, until }: CallFilter, texts: Texts): string =>
  from !== null && until !== null && from > until
    ? texts.noneBackwards
    : number === null
      ? texts.none
      : texts.noneOfNumber

/** The URL of another page of the same search. */
const pageUrl = (params: Record<string, string>, before: string | null): string => {
  const { before: _, ...search } = params
  const all = Object.entries({ ...search, ...(before !== null && { before }) })
  return `/ops/calls?${new URLSearchParams(all.filter(([, value]) => value !== '')).toString()}`
}

export const callsPages = Router()

callsPages.get(
  '/calls',
  reportPage(async (trx, context) => {
    const { language, params } = context
    const texts = callsTexts[language]
    const choice = await tenantsFor(trx, context)
    const { tenantId, chosen } = choice
    const timezone = chosen?.timezone ?? DEFAULT_TIMEZONE
    const filter = parseFilter(params, { tenantId, timezone })
    const { calls, next } = await findCalls(trx, filter)
    const isAll = Object.values({ ...params, before: '' }).every(value => value === '')
    return {
      name: 'calls',
      title: texts.title,
      live: filter.before === null,
      body: html`<h1>${texts.title}</h1>
        ${filterForm(context, choice, filter)}
        ${filter.number === 'unreadable' && html`<p role="alert">${texts.numberUnreadable}</p>`}
        ${
          calls.length === 0
            ? html`<p class="empty">${isAll ? texts.noneYet : emptyText(filter, texts)}</p>`
            : callsTable(calls, context)
        }
        <p class="row">
          ${filter.before !== null && html`<a class="button" href="${pageUrl(params, null)}">${texts.newest}</a>`}
          ${next !== null && html`<a class="button" href="${pageUrl(params, next)}">${texts.older}</a>`}
          ${!isAll && html`<a class="button" href="/ops/calls">${texts.clear}</a>`}
        </p>`,
    }
  }),
)

type Texts = (typeof callsTexts)['en']

const callsTexts = translations(
  {
    title: 'Calls',
    state: 'Which calls',
    allCalls: 'All calls',
    groups: { call: 'The call', message: 'The message', none: 'No message, because' },
    states: {
      missed: 'missed',
      answered: 'answered',
      not_inbound: 'outgoing, internal and others',
      unmatched_number: 'to a number of no business',
      undecided: 'undecided',
      waiting: 'a message is waiting',
      contacted: 'a message was sent',
      delivered: 'the message was delivered',
      read: 'the message was read',
      replied: 'replied',
      reached_by_phone: 'reached by phone',
      failed: 'the message failed',
      uncertain: 'unknown whether it arrived',
      not_contacted: 'any reason',
      withheld_number: 'number withheld',
      own_number: 'number of the business itself',
      excluded: 'excluded number',
      not_mobile: 'not a mobile number',
      opted_out: 'asked for no messages',
      already_contacted: 'already contacted after another call',
      too_late: 'too late',
      holdout: 'control group',
      tenant_paused: 'business was paused',
      no_connection: 'no WhatsApp number',
      shadow: 'trial mode',
      owner_replied: 'the business already wrote to them',
      by_operator: 'cancelled by hand',
    },
    number: "Caller's number",
    numberHelp: 'The whole number, or at least its last 4 digits',
    numberUnreadable: 'Enter the whole number, or at least its last 4 digits.',
    from: 'From',
    until: 'To',
    clear: 'Show all',
    when: 'When',
    caller: 'Caller',
    line: 'Number called',
    call: 'Call',
    result: 'Result',
    none: 'No such calls.',
    noneOfNumber: 'No such calls. Search for the whole number, or for at least its last 4 digits.',
    noneBackwards: 'No such calls: “From” is later than “To”.',
    noneYet: 'There are no calls yet.',
    older: 'Older calls',
    newest: 'Newest calls',
  },
  {
    title: 'שיחות',
    state: 'אילו שיחות',
    allCalls: 'כל השיחות',
    groups: { call: 'השיחה', message: 'ההודעה', none: 'לא נשלחה הודעה, כי' },
    states: {
      missed: 'לא נענו',
      answered: 'נענו',
      not_inbound: 'יוצאות, פנימיות ואחרות',
      unmatched_number: 'למספר שאינו של אף עסק',
      undecided: 'לא הוכרע',
      waiting: 'הודעה ממתינה',
      contacted: 'נשלחה הודעה',
      delivered: 'ההודעה נמסרה',
      read: 'ההודעה נקראה',
      replied: 'התקבלה תשובה',
      reached_by_phone: 'שוחחו בטלפון',
      failed: 'ההודעה נכשלה',
      uncertain: 'לא ידוע אם הגיעה',
      not_contacted: 'מכל סיבה',
      withheld_number: 'מספר חסוי',
      own_number: 'מספר של העסק עצמו',
      excluded: 'מספר מוחרג',
      not_mobile: 'לא מספר נייד',
      opted_out: 'התקבלה בקשה לא לשלוח',
      already_contacted: 'כבר נשלחה הודעה על שיחה אחרת',
      too_late: 'מאוחר מדי',
      holdout: 'קבוצת ביקורת',
      tenant_paused: 'העסק היה מושהה',
      no_connection: 'אין מספר WhatsApp',
      shadow: 'מצב ניסיון',
      owner_replied: 'העסק כבר כתב בעצמו',
      by_operator: 'בוטלה ידנית',
    },
    number: 'מספר הטלפון',
    numberHelp: 'המספר המלא, או לפחות 4 הספרות האחרונות',
    numberUnreadable: 'נא להזין את המספר המלא, או לפחות את 4 הספרות האחרונות שלו.',
    from: 'מתאריך',
    until: 'עד תאריך',
    clear: 'הצגת הכול',
    when: 'מתי',
    caller: 'מי התקשר',
    line: 'לאיזה מספר',
    call: 'השיחה',
    result: 'תוצאה',
    none: 'אין שיחות כאלה.',
    noneOfNumber: 'אין שיחות כאלה. אפשר לחפש את המספר המלא, או לפחות את 4 הספרות האחרונות.',
    noneBackwards: 'אין שיחות כאלה: ״מתאריך״ מאוחר מ״עד תאריך״.',
    noneYet: 'עדיין אין שיחות.',
    older: 'שיחות ישנות יותר',
    newest: 'השיחות החדשות ביותר',
  },
)
