import { Router } from 'express'
import type { Trx } from '../../db/kysely.ts'
import { cancelOutreach } from '../../outreach/operator_actions.ts'
import { reclassify } from '../../voicenter/pending_calls.ts'
import { html } from './html.ts'
import { callOfMissed, callOfRecord, type Facts, factsOf } from './calls/facts.ts'
import { actions, heading, isPending, isUndecided, moment } from './calls/one.ts'
import { recordsOf } from './calls/records.ts'
import { timelineOf } from './calls/timeline.ts'
import type { Page } from './layout.ts'
import { deed, page, type Visit } from './page.ts'
import { refuse } from './refuse.ts'
import { callWords } from './words/call.ts'

const ID = /^[1-9]\d{0,17}$/

const idIn = ({ given }: Visit): string => {
  const id = given['id'] ?? ''
  return ID.test(id) ? id : refuse(404)
}

const shown = async (facts: Facts | null, visit: Visit): Promise<Page> => {
  if (!facts) return refuse(404)
  const words = callWords[visit.language]
  return {
    name: 'calls',
    title: words.title,
    live: isPending(facts) || facts.stand.verdict === null,
    body: html`${heading(facts, visit)} ${actions(facts, visit)}
      <section class="card">
        <h2>${words.timeline}</h2>
        <ol class="timeline">
          ${timelineOf(facts, visit.language).map(one => moment(one, visit, facts.timezone))}
        </ol>
      </section>
      ${recordsOf(facts.records, visit.language, facts.timezone)}`,
  }
}

/** By the id of one of its records, or of its missed call; of a business only its own. */
const callByRecord = async (trx: Trx, visit: Visit) =>
  (await callOfRecord(trx, idIn(visit), visit.own)) ?? refuse(404)
const callByMissed = async (trx: Trx, visit: Visit) =>
  (await callOfMissed(trx, idIn(visit), visit.own)) ?? refuse(404)

export const callPages = Router()

callPages.get(
  '/calls/:id',
  page(async (trx, visit) => shown(await factsOf(trx, await callByRecord(trx, visit)), visit)),
)

callPages.get(
  '/calls/missed/:id',
  page(async (trx, visit) => shown(await factsOf(trx, await callByMissed(trx, visit)), visit)),
)

callPages.post(
  '/calls/missed/:id/cancel',
  deed(async (trx, visit) => {
    const { tenantId } = await callByMissed(trx, visit)
    const missedCallId = idIn(visit)
    const became = await cancelOutreach(trx, visit.signIn, {
      tenantId: tenantId ?? refuse(404),
      missedCallId,
    })
    return {
      said: callWords[visit.language].cancelled[became],
      to: `/ops/calls/missed/${missedCallId}`,
    }
  }),
)

callPages.post(
  '/calls/:id/judge',
  deed(async (trx, visit) => {
    const { tenantId, rootCallId } = await callByRecord(trx, visit)
    const facts = await factsOf(trx, { tenantId, rootCallId })
    if (!facts || !isUndecided(facts)) return refuse(409)
    const callIds = [...new Set(facts.records.map(({ callId }) => callId))]
    await reclassify(trx, visit.signIn, { tenantId, callIds })
    return { said: callWords[visit.language].judgedAgain, to: `/ops/calls/${idIn(visit)}` }
  }),
)
