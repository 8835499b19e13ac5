/** The parts of the page of one call. */
import { html } from '../html.ts'
import { telephone, when } from '../format.ts'
import type { Visit } from '../page.ts'
import { whyOf } from '../why.ts'
import { callWords } from '../words/call.ts'
import type { Facts } from './facts.ts'
import { callerOf } from './parts.ts'
import type { Moment } from './sent.ts'

/** Where what stands in the way can be changed. */
const placeFor = ({ stand }: Facts, { own }: Visit): 'trouble' | 'tenants' | 'tenant' | null => {
  const { verdict, outreachState, outreachReason } = stand
  if (verdict === 'unmatched_number' || outreachState === 'unknown') return 'trouble'
  const isSet = ['tenant_paused', 'no_connection', 'shadow', 'connection_paused']
  if (!isSet.includes(outreachReason ?? '')) return null
  return own ? 'tenant' : 'tenants'
}

/** Who called whom, and the sentence that says why something was sent, or nothing. */
export const heading = (facts: Facts, visit: Visit) => {
  const { language, own } = visit
  const words = callWords[language]
  const { stand, missed, records, because } = facts
  const [first] = records
  const customerPhone =
    missed?.phone ??
    records.find(({ customerPhone }) => customerPhone !== null)?.customerPhone ??
    null
  const caller = callerOf(language, {
    ...stand,
    customerPhone,
    customerName: missed?.leadName ?? null,
    payload: first?.payload ?? null,
  })
  const line = html`${telephone(first?.businessPhone ?? null)}${
    !own && facts.tenantName && html` (<bdi>${facts.tenantName}</bdi>)`
  }`
  const place = placeFor(facts, visit)
  const number = customerPhone !== null && new URLSearchParams({ number: customerPhone }).toString()
  return html`<p class="quiet">
      ${stand.reason === 'outgoing' ? words.toFrom(caller, line) : words.fromTo(caller, line)} ·
      ${when(missed?.calledAt ?? first?.calledAt ?? first?.receivedAt ?? null, language, facts.timezone)}
    </p>
    <h1>${whyOf(language, stand)}</h1>
    ${
      stand.outreachState === 'scheduled' &&
      missed?.dueAt &&
      html`<p>${words.dueAt(when(missed.dueAt, language, facts.timezone))}</p>`
    }
    ${
      because &&
      html`<p>
        ${words.because(html`<a href="/ops/calls/missed/${because.id}">${when(because.at, language, facts.timezone)}</a>`)}
      </p>`
    }
    ${
      place &&
      html`<p>
        <a href="/ops/${place === 'trouble' ? 'trouble' : 'tenants'}">${words.toDo[place]}</a>
      </p>`
    }
    ${number !== false && html`<p><a href="/ops/calls?${number}">${words.others}</a></p>`}`
}

/** Something may still happen by itself. */
export const isPending = ({ stand, messages }: Facts): boolean =>
  ['scheduled', 'sending'].includes(stand.outreachState ?? '') ||
  stand.conversationState === 'open' ||
  messages.some(({ state }) => state === 'scheduled')

/** Decided calls stay so; of one that has been emptied, nothing can be judged. */
export const isUndecided = ({ stand, records }: Facts): boolean =>
  [null, 'unknown', 'unmatched_number'].includes(stand.verdict) &&
  records.some(({ bytes }) => bytes !== null)

/** What a person can do about it. */
export const actions = (facts: Facts, { language, formToken }: Visit) => {
  const words = callWords[language]
  const form = html`<input type="hidden" name="form" value="${formToken}" />`
  const [first] = facts.records
  return html`${
    facts.missed &&
    isPending(facts) &&
    html`<details class="card" id="cancel">
      <summary>${words.cancel}</summary>
      <p>${words.cancelMeans}</p>
      <form method="post" action="/ops/calls/missed/${facts.missed.id}/cancel">
        ${form}<button class="danger">${words.cancelYes}</button>
      </form>
    </details>`
  }
  ${
    first &&
    isUndecided(facts) &&
    html`<form class="card row" method="post" action="/ops/calls/${first.id}/judge">
      ${form}<button>${words.judge}</button> <span class="quiet">${words.judgeMeans}</span>
    </form>`
  }`
}

/** One step of the timeline. */
export const moment = (
  { at, planned, what, more = [] }: Moment,
  { language }: Visit,
  timezone: string,
) => {
  const told = more.filter(one => one !== null && one !== false && one !== '')
  return html`<li ${planned === true && html`class="planned"`}>
    ${at && html`<span class="quiet">${when(at, language, timezone)}</span>`}
    <div>${what}</div>
    ${told.length > 0 && html`<small>${told.map((one, n) => html`${n > 0 && ' · '}${one}`)}</small>`}
  </li>`
}
