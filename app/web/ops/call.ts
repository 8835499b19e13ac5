/** One call: its result and the reasons, step by step. */
import { Router } from 'express'
import type { Trx } from '../../db/kysely.ts'
import { cancelOutreach } from '../../outreach/operator_actions.ts'
import { reclassify } from '../../voicenter/reclassify.ts'
import type { Context } from './access.ts'
import { callerCard } from './caller.ts'
import {
  type CallFacts,
  type CallRecord,
  findCallByMissedCall,
  findCallByRecord,
  loadCall,
} from './call_facts.ts'
import { abort } from './errors.ts'
import { dateTime, telephone } from './format.ts'
import { html } from './html.ts'
import type { Language } from './language.ts'
import type { Page } from './layout.ts'
import { callTexts } from './locales/call.ts'
import { action, idParam, page } from './page.ts'
import { timeline, type TimelineEntry, whyTriedAgain } from './timeline.ts'
import { callerName, explainCall } from './why.ts'

/** The page where the reason for the result can be changed. */
const placeToFix = (
  { outcome }: CallFacts,
  { tenantScope }: Context,
): 'alerts' | 'tenants' | 'tenant' | null => {
  const { verdict, outreachState, outreachReason } = outcome
  if (verdict === 'unmatched_number' || outreachState === 'unknown') return 'alerts'
  const settings = ['tenant_paused', 'no_connection', 'shadow', 'connection_paused']
  if (!settings.includes(outreachReason ?? '')) return null
  return tenantScope ? 'tenant' : 'tenants'
}

/** Who called whom, and the result in one sentence. */
const heading = (facts: CallFacts, context: Context) => {
  const { language, tenantScope } = context
  const texts = callTexts[language]
  const { outcome, missed, records, earlierCall, timezone } = facts
  const [first] = records
  const customerPhone =
    missed?.phone ??
    records.find(({ customerPhone }) => customerPhone !== null)?.customerPhone ??
    null
  const caller = callerName(language, {
    ...outcome,
    customerPhone,
    customerName: missed?.leadName ?? null,
    record: first?.cdr ?? null,
  })
  const line = html`${telephone(first?.businessPhone ?? missed?.businessPhone ?? null)}${
    !tenantScope && facts.tenantName && html` (<bdi>${facts.tenantName}</bdi>)`
  }`
  const place = placeToFix(facts, context)
  const search = customerPhone !== null && new URLSearchParams({ number: customerPhone }).toString()
  const calledAt = missed?.calledAt ?? first?.calledAt ?? first?.receivedAt ?? null
  const retries = facts.messages.flatMap(message => whyTriedAgain(message, language) ?? [])
  return html`<p class="quiet">
      ${outcome.reason === 'outgoing' ? texts.toFrom(caller, line) : texts.fromTo(caller, line)} ·
      ${dateTime(calledAt, language, timezone)}
    </p>
    <h1>${explainCall(language, outcome)}</h1>
    ${
      outcome.outreachState === 'scheduled' &&
      missed?.dueAt &&
      html`<p>${texts.dueAt(dateTime(missed.dueAt, language, timezone))}</p>`
    }
    ${retries.map(why => html`<p>${why}</p>`)}
    ${
      earlierCall &&
      html`<p>
        ${texts.earlierCall(html`<a href="/ops/calls/missed/${earlierCall.id}">${dateTime(earlierCall.at, language, timezone)}</a>`)}
      </p>`
    }
    ${
      place &&
      html`<p>
        <a href="/ops/${place === 'alerts' ? 'trouble' : 'tenants'}">${texts.placeToFix[place]}</a>
      </p>`
    }
    <p class="row">
      ${missed?.leadId && html`<a class="button" href="/ops/leads/${missed.leadId}#latest">${texts.toPerson}</a>`}
      ${search !== false && html`<a href="/ops/calls?${search}">${texts.allCalls}</a>`}
    </p>`
}

/** Something may still happen by itself. */
const isPending = ({ outcome, messages }: CallFacts): boolean =>
  ['scheduled', 'sending'].includes(outcome.outreachState ?? '') ||
  outcome.conversationState === 'open' ||
  messages.some(({ state }) => state === 'scheduled')

/** A decision is final, and a call whose CDRs were deleted cannot be decided. */
const isUndecided = ({ outcome, records }: CallFacts): boolean =>
  [null, 'unknown', 'unmatched_number'].includes(outcome.verdict) &&
  records.some(({ bytes }) => bytes !== null)

const callActions = (facts: CallFacts, { language, formToken }: Context) => {
  const texts = callTexts[language]
  const csrf = html`<input type="hidden" name="form" value="${formToken}" />`
  const [first] = facts.records
  return html`${
    facts.missed &&
    isPending(facts) &&
    html`<details class="card" id="cancel">
      <summary>${texts.cancel}</summary>
      <p>${texts.cancelMeans}</p>
      <form method="post" action="/ops/calls/missed/${facts.missed.id}/cancel">
        ${csrf}<button class="danger">${texts.cancelYes}</button>
      </form>
    </details>`
  }
  ${
    first &&
    isUndecided(facts) &&
    html`<form class="card row" method="post" action="/ops/calls/${first.id}/reclassify">
      ${csrf}<button>${texts.reclassify}</button>
      <span class="quiet">${texts.reclassifyMeans}</span>
    </form>`
  }`
}

const timelineEntry = (
  { at, isPlanned, text, details = [] }: TimelineEntry,
  language: Language,
  timezone: string,
) => {
  const shown = details.filter(one => one !== null && one !== false && one !== '')
  return html`<li ${isPlanned === true && html`class="planned"`}>
    ${at && html`<span class="quiet">${dateTime(at, language, timezone)}</span>`}
    <div>${text}</div>
    ${shown.length > 0 && html`<small>${shown.map((one, n) => html`${n > 0 && ' · '}${one}`)}</small>`}
  </li>`
}

/** The call records as the phone system sent them. */
const recordsCard = (records: CallRecord[], language: Language, timezone: string) => {
  const texts = callTexts[language]
  return html`<section class="card">
    <h2>${texts.records}</h2>
    ${records.map(
      ({ id, callId, receivedAt, payload, body, bytes }, index) =>
        html`<details id="record-${id}">
          <summary>
            ${texts.record(index + 1)} · ${dateTime(receivedAt, language, timezone)} ·
            <code>${callId}</code>
          </summary>
          ${bytes === null && html`<p class="quiet">${texts.emptied}</p>`}
          ${bytes !== null && payload === null && html`<p class="quiet">${texts.tooLong}</p>`}
          ${
            payload !== null &&
            html`<h3>${texts.asParsed}</h3>
              <pre>${JSON.stringify(payload, null, 2)}</pre>`
          }
          ${
            body !== null &&
            html`<h3>${texts.asReceived} <small>(${bytes} ${texts.bytes})</small></h3>
              <pre>${body.toString('utf8')}</pre>`
          }
        </details>`,
    )}
  </section>`
}

const callPage = (facts: CallFacts | null, context: Context): Page => {
  if (!facts) return abort(404)
  const { language } = context
  const texts = callTexts[language]
  return {
    name: 'calls',
    title: texts.title,
    live: isPending(facts) || facts.outcome.verdict === null,
    body: html`${heading(facts, context)} ${callActions(facts, context)}
      <section class="card">
        <h2>${texts.timeline}</h2>
        <ol class="timeline">
          ${timeline(facts, language).map(entry => timelineEntry(entry, language, facts.timezone))}
        </ol>
      </section>
      ${facts.missed?.leadId && facts.missed.phone && callerCard({ ...facts, leadId: facts.missed.leadId, phone: facts.missed.phone }, context)}
      ${recordsCard(facts.records, language, facts.timezone)}`,
  }
}

const byRecord = async (trx: Trx, context: Context) =>
  (await findCallByRecord(trx, idParam(context), context.tenantScope)) ?? abort(404)
const byMissedCall = async (trx: Trx, context: Context) =>
  (await findCallByMissedCall(trx, idParam(context), context.tenantScope)) ?? abort(404)

export const callPages = Router()

callPages.get(
  '/calls/:id',
  page(async (trx, context) =>
    callPage(await loadCall(trx, await byRecord(trx, context)), context),
  ),
)

callPages.get(
  '/calls/missed/:id',
  page(async (trx, context) =>
    callPage(await loadCall(trx, await byMissedCall(trx, context)), context),
  ),
)

callPages.post(
  '/calls/missed/:id/cancel',
  action(async (trx, context) => {
    const { tenantId } = await byMissedCall(trx, context)
    const missedCallId = idParam(context)
    const result = await cancelOutreach(trx, context.signIn, {
      tenantId: tenantId ?? abort(404),
      missedCallId,
    })
    return {
      flash: callTexts[context.language].cancelled[result],
      to: `/ops/calls/missed/${missedCallId}`,
    }
  }),
)

callPages.post(
  '/calls/:id/reclassify',
  action(async (trx, context) => {
    const key = await byRecord(trx, context)
    const facts = await loadCall(trx, key)
    if (!facts || !isUndecided(facts)) return abort(409)
    const callIds = [...new Set(facts.records.map(({ callId }) => callId))]
    await reclassify(trx, context.signIn, { tenantId: key.tenantId, callIds })
    return {
      flash: callTexts[context.language].reclassified,
      to: `/ops/calls/${idParam(context)}`,
    }
  }),
)
