/** The URLs that Voicenter reports calls to. */
import { addToken, revokeToken, tenantToken, webhookUrl } from '../../../tenants/credentials.ts'
import { html, type Html } from '../html.ts'
import { text } from '../attempt.ts'
import { deedForm } from '../deed_form.ts'
import { tick, whyNot } from '../fields.ts'
import { when } from '../format.ts'
import { fromNow } from '../from_now.ts'
import type { Language } from '../language.ts'
import { tenantWords } from '../words/tenant.ts'
import { tenantsWords } from '../words/tenants.ts'
import { type About, pathOf, type Section } from './section.ts'

type Token = About['shown']['webhookTokens'][number]

const wordsOf = ({ visit }: Pick<About, 'visit'>) => tenantWords[visit.language].webhook

/** A webhook URL, this once, and what to do with it. */
export const urlOnce = (language: Language, webhookToken: string): Html => {
  const words = tenantsWords[language].added
  return html`<h2>${words.url}</h2>
    <pre>${webhookUrl(webhookToken)}</pre>
    <p><b>${words.once}</b></p>
    <h3>${words.how}</h3>
    <ol>
      ${words.steps.map(step => html`<li>${step}</li>`)}
    </ol>`
}

const revokeForm = (about: About, { tokenId }: Token, isLast: boolean): Html => {
  const { visit, shown, refusal } = about
  const words = wordsOf(about)
  const isRefused = refusal?.deed === 'revoke' && text(refusal.entered, 'tokenId') === tokenId
  return html`<details id="revoke-${tokenId}" ${isRefused && html`open`}>
    <summary>${words.revoke}</summary>
    <p>${isLast ? words.lastWarning : words.warning}</p>
    ${deedForm(
      visit,
      {
        path: pathOf(shown.tenantId, 'webhook', 'revoke'),
        label: words.sure,
        fields: { tokenId },
        about: tokenId,
      },
      isLast ? tick('force', 'yes', words.force, false) : null,
    )}
  </details>`
}

const row = (about: About, token: Token, isLast: boolean): Html => {
  const { visit, shown } = about
  const words = wordsOf(about)
  const date = (at: Date) => when(at, visit.language, shown.timezone)
  return html`<li>
    <span
      ><strong>${words.id} ${token.tokenId}</strong>
      <span class="badge ${!token.revokedAt && 'good'}"
        >${token.revokedAt ? words.revoked : words.valid}</span
      ><br /><small
        >${words.created}
        ${date(token.createdAt)}${
          token.revokedAt && html`, ${words.revoked} ${date(token.revokedAt)}`
        }</small
      ></span
    >
    ${!token.revokedAt && revokeForm(about, token, isLast)}
  </li>`
}

const callLogCard = (about: About): Html => {
  const words = wordsOf(about)
  const log = about.shown.callLog
  return html`<section class="card">
    <h2>${words.callLog}</h2>
    <p>${log ? words.callLogLost(log.lost, log.calls, log.lossPercent) : words.callLogNone}</p>
    ${log?.lastError && html`<p class="problem">⚠ ${words.callLogError(log.lastError)}</p>`}
  </section>`
}

export const webhook: Section = {
  show: about => {
    const { visit, shown } = about
    const words = wordsOf(about)
    const valid = shown.webhookTokens.filter(({ revokedAt }) => !revokedAt).length
    return html`<section class="card">
        <h2>${words.title}</h2>
        <p class="quiet">${words.help}</p>
        ${whyNot(about.refusal, 'revoke')}
        <p>
          ${words.last}:
          ${shown.lastWebhookAt ? fromNow(shown.lastWebhookAt, new Date(), visit.language) : words.never}
        </p>
        <ul class="rows">
          ${shown.webhookTokens.map(token => row(about, token, valid === 1))}
        </ul>
        ${deedForm(visit, { path: pathOf(shown.tenantId, 'webhook', 'fresh'), label: words.fresh })}
      </section>
      ${callLogCard(about)}`
  },
  deeds: {
    fresh: async ({ trx, visit, tenantId }) => {
      const { webhookToken } = await addToken(trx, visit.signIn, tenantId)
      const words = wordsOf({ visit })
      return {
        once: html`<section class="card">
          ${urlOnce(visit.language, webhookToken)}
          <p>${words.kept}</p>
          <p><a class="button" href="${pathOf(tenantId, 'webhook')}">${words.back}</a></p>
        </section>`,
      }
    },
    revoke: async ({ trx, visit, tenantId, form }) => {
      const wanted = tenantToken.parse({
        tenantId,
        tokenId: text(form, 'tokenId'),
        force: text(form, 'force') === 'yes',
      })
      const { revoked } = await revokeToken(trx, visit.signIn, wanted)
      const words = wordsOf({ visit })
      return { said: revoked ? words.revokedNow : words.revokedBefore }
    },
  },
}
