/** One business at a glance: what is missing, its mode, and a test. */
import { html, type Html } from '../html.ts'
import { fromNow } from '../from_now.ts'
import { tenantWords } from '../words/tenant.ts'
import { checklist, type Item, type Stand } from './checklist.ts'
import { modeCard, modeDeeds } from './mode.ts'
import { type About, pathOf, type Section } from './section.ts'
import { lastTest, testCard, testDeeds } from './test_message.ts'
import { unknownNumbers } from './unknown_numbers.ts'

const MARKS: Record<Stand, { mark: string; look: string }> = {
  done: { mark: '✓', look: 'good' },
  waiting: { mark: '…', look: 'warn' },
  open: { mark: '○', look: '' },
  wrong: { mark: '!', look: 'bad' },
  paused: { mark: '–', look: 'bad' },
}

/** What there is to know or to do about a step. */
const detailOf = ({ step, stand }: Item, { visit, shown }: About, unknown: number) => {
  const { checklist: words, templates } = tenantWords[visit.language]
  if (step === 'webhook')
    return shown.lastWebhookAt
      ? fromNow(shown.lastWebhookAt, new Date(), visit.language)
      : words.webhookOpen
  if (stand === 'done') return null
  if (step === 'numbers') return words.unknownNumbers(unknown)
  if (step === 'whatsapp') return stand === 'wrong' && words.connectionPaused
  if (step === 'test') return stand === 'open' && words.testOpen
  if (step !== 'templates') return null
  const paused = shown.templates.filter(({ state }) => state === 'paused')
  return stand === 'open'
    ? words.templatesOpen
    : words.templatePaused([...new Set(paused.map(({ kind }) => templates.kinds[kind]))].join(', '))
}

const item = (one: Item, about: About, unknown: number): Html => {
  const words = tenantWords[about.visit.language].checklist
  const { mark, look } = MARKS[one.stand]
  const detail = detailOf(one, about, unknown)
  const href = one.where === 'overview' ? `#${one.step}` : pathOf(about.shown.tenantId, one.where)
  return html`<li>
    <span
      ><a href="${href}">${words.items[one.step]}</a>${
        detail && html`<br /><small>${detail}</small>`
      }</span
    >
    <span class="badge ${look}"><b aria-hidden="true">${mark}</b> ${words.states[one.stand]}</span>
  </li>`
}

export const overview: Section = {
  show: async about => {
    const { trx, visit, shown } = about
    const test = await lastTest(trx, shown.tenantId)
    const unknown = (await unknownNumbers(trx, shown.tenantId)).length
    const items = checklist({ shown, test: test?.state ?? null, unknownNumbers: unknown })
    const words = tenantWords[visit.language].checklist
    const isReady = items.every(({ step, stand }) => stand === 'done' || step === 'live')
    return html`<section class="card">
        <h2>${words.title}</h2>
        ${isReady && shown.mode === 'live' && html`<p>${words.ready}</p>`}
        <ol class="checklist">
          ${items.map(one => item(one, about, unknown))}
        </ol>
      </section>
      ${modeCard(about, isReady)} ${testCard(about, test)}`
  },
  deeds: { ...modeDeeds, ...testDeeds },
}
