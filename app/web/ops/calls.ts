import { Router } from 'express'
import { html, type Html } from './html.ts'
import { callerOf, verdictBadge } from './calls/parts.ts'
import { type Filter, readFilter, type State, STATE_GROUPS } from './calls/filter.ts'
import { type CallSeen, findCalls } from './calls/found.ts'
import { HOME, telephone, when } from './format.ts'
import { page, scopeOf, type Visit } from './page.ts'
import { refuse } from './refuse.ts'
import { type TenantSeen, tenantsSeen } from './tenants_seen.ts'
import { howMissed, whyOf } from './why.ts'
import { callsWords } from './words/calls.ts'

const option = (value: string, label: string | Html, chosen: string | null | undefined) =>
  html`<option value="${value}" ${(chosen ?? '') === value && html`selected`}>${label}</option>`

const filterForm = ({ language, own, given }: Visit, tenants: TenantSeen[], filter: Filter) => {
  const words = callsWords[language]
  const states = (group: keyof typeof STATE_GROUPS) =>
    html`<optgroup label="${words.groups[group]}">
      ${STATE_GROUPS[group].map((state: State) => option(state, words.states[state], filter.state))}
    </optgroup>`
  return html`<form class="filter card" action="/ops/calls">
    ${
      !own &&
      tenants.length > 1 &&
      html`<label
        >${words.business}
        <select name="tenant">
          ${option('', words.allBusinesses, filter.tenantId)}
          ${tenants.map(({ id, name }) => option(id, name, filter.tenantId))}
        </select></label
      >`
    }
    <label
      >${words.state}
      <select name="state">
        ${option('', words.states.all, filter.state)} ${states('call')} ${states('message')}
        ${states('none')}
      </select></label
    >
    <label
      >${words.number}
      <input
        name="number"
        type="search"
        inputmode="tel"
        dir="ltr"
        maxlength="100"
        title="${words.numberHelp}"
        placeholder="050-123-4567"
        value="${given['number']}"
    /></label>
    <label>${words.from} <input name="from" type="date" value="${filter.from}" /></label>
    <label>${words.until} <input name="until" type="date" value="${filter.until}" /></label>
    <button class="main">${words.show}</button>
  </form>`
}

const row = (call: CallSeen, { language, own }: Visit) => {
  const words = callsWords[language]
  // What the business dialled itself went the other way.
  const outgoing = call.verdict === 'not_inbound' && call.reason === 'outgoing'
  const customer = callerOf(language, call)
  const line = html`${telephone(call.businessPhone)}
  ${
    !own &&
    call.tenantName !== null &&
    call.verdict !== 'unmatched_number' &&
    html`<small><bdi>${call.tenantName}</bdi></small>`
  }`
  return html`<tr>
    <td data-label="${words.when}">
      <a href="/ops/calls/${call.id}">${when(call.at, language, call.timezone ?? HOME)}</a>
    </td>
    <td data-label="${words.caller}"><span>${outgoing ? line : customer}</span></td>
    <td data-label="${words.line}"><span>${outgoing ? customer : line}</span></td>
    <td data-label="${words.call}">
      <span>${verdictBadge(language, call)} <small>${howMissed(language, call)}</small></span>
    </td>
    <td class="wide">${whyOf(language, call)}</td>
  </tr>`
}

const whyNone = ({ number, from, until }: Filter, words: (typeof callsWords)['en']): string =>
  from !== null && until !== null && from > until
    ? words.noneBackwards
    : number === null
      ? words.none
      : words.noneOfNumber

/** The same question once more, from another place on. */
const asked = (given: Record<string, string>, before: string | null): string => {
  const { before: _, ...rest } = given
  const asks = Object.entries({ ...rest, ...(before !== null && { before }) })
  return `/ops/calls?${new URLSearchParams(asks.filter(([, value]) => value !== '')).toString()}`
}

export const callsPages = Router()

callsPages.get(
  '/calls',
  page(async (trx, visit) => {
    const { language, given } = visit
    const words = callsWords[language]
    const tenants = await tenantsSeen(trx, visit)
    const tenantId = scopeOf(visit)
    const chosen = tenants.find(({ id }) => id === tenantId)
    if (tenantId && !chosen) refuse(404)
    const filter = readFilter(given, { tenantId, timezone: chosen?.timezone ?? HOME })
    const { calls, next } = await findCalls(trx, filter)
    const isAll = Object.values({ ...given, before: '' }).every(value => value === '')
    return {
      name: 'calls',
      title: words.title,
      live: filter.before === null,
      body: html`<h1>${words.title}</h1>
        ${filterForm(visit, tenants, filter)}
        ${filter.number === 'unreadable' && html`<p role="alert">${words.numberUnreadable}</p>`}
        ${calls.length === 0 && html`<p class="empty">${isAll ? words.noneYet : whyNone(filter, words)}</p>`}
        ${
          calls.length > 0 &&
          html`<table class="stack">
            <thead>
              <tr>
                <th>${words.when}</th>
                <th>${words.caller}</th>
                <th>${words.line}</th>
                <th>${words.call}</th>
                <th>${words.became}</th>
              </tr>
            </thead>
            <tbody>
              ${calls.map(call => row(call, visit))}
            </tbody>
          </table>`
        }
        <p class="row">
          ${filter.before !== null && html`<a class="button" href="${asked(given, null)}">${words.newest}</a>`}
          ${next !== null && html`<a class="button" href="${asked(given, next)}">${words.older}</a>`}
          ${!isAll && html`<a class="button" href="/ops/calls">${words.clear}</a>`}
        </p>`,
    }
  }),
)
