/** The WhatsApp numbers that a business writes from. */
import {
  connect,
  connection,
  connectionsOf,
  connectionState,
  setConnectionState,
} from '../../../tenants/connections.ts'
import type { TenantShown } from '../../../tenants/tenants.ts'
import { notFound } from '../../../errors.ts'
import { html, type Html } from '../html.ts'
import { type Refusal, text } from '../attempt.ts'
import { carefulForm, deedForm } from '../deed_form.ts'
import { input, refused, secretInput, whyNot } from '../fields.ts'
import { telephone } from '../format.ts'
import { tenantWords } from '../words/tenant.ts'
import { pausedBecause } from '../words/whatsapp_reason.ts'
import { type About, form, pathOf, refusalOf, type Section } from './section.ts'

type Connection = TenantShown['connections'][number]

const wordsOf = ({ visit }: Pick<About, 'visit'>) => tenantWords[visit.language].whatsapp

const secret = (about: About, refusal: Refusal | null): Html => {
  const words = wordsOf(about)
  return secretInput({ name: 'accessToken', label: words.token, help: words.tokenHelp, refusal })
}

/** Of the forms for a new token there is one for each number: only the one that was sent has been refused. */
const tokenForm = (about: About, { phoneNumberId }: Connection): Html => {
  const words = wordsOf(about)
  const sent = refusalOf(about, 'token')
  const refusal = sent && text(sent.entered, 'phoneNumberId') === phoneNumberId ? sent : null
  return html`<details id="token-${phoneNumberId}" ${refusal && html`open`}>
    <summary>${words.newToken}</summary>
    ${refusal && refused(about.visit.language, refusal, 'token')}
    ${form(
      about,
      'whatsapp',
      'token',
      html`<input type="hidden" name="phoneNumberId" value="${phoneNumberId}" />
        ${secret(about, refusal)} <button class="main">${words.tokenSubmit}</button>`,
    )}
  </details>`
}

const stateForm = ({ visit, shown }: About, { phoneNumberId, state }: Connection): Html => {
  const words = wordsOf({ visit })
  const path = pathOf(shown.tenantId, 'whatsapp', 'state')
  return state === 'paused'
    ? deedForm(visit, { path, label: words.resume, fields: { phoneNumberId, state: 'active' } })
    : carefulForm(visit, {
        id: `pause-${phoneNumberId}`,
        open: words.pause,
        warning: words.pauseWarning,
        path,
        label: words.pauseSure,
        fields: { phoneNumberId, state: 'paused' },
      })
}

const card = (about: About, one: Connection): Html => {
  const words = wordsOf(about)
  const isActive = one.state === 'active'
  const { why, whatNow } = pausedBecause(about.visit.language, one.reason)
  return html`<section class="card">
    <div class="row">
      <h2>${telephone(one.displayNumber)}</h2>
      <span class="badge ${isActive ? 'good' : 'bad'}"
        >${isActive ? words.states.active : words.states.paused}</span
      >
    </div>
    <p class="quiet">${words.id}: <bdi>${one.phoneNumberId}</bdi></p>
    ${!isActive && html`<p>${why} ${whatNow}</p>`} ${stateForm(about, one)} ${tokenForm(about, one)}
  </section>`
}

const connectCard = (about: About): Html => {
  const words = wordsOf(about)
  const refusal = refusalOf(about, 'connect')
  return html`<section class="card">
    <h2>${words.connect}</h2>
    ${refused(about.visit.language, about.refusal, 'connect')}
    ${form(
      about,
      'whatsapp',
      'connect',
      html`${input({
          name: 'whatsappNumber',
          label: words.number,
          help: words.numberHelp,
          kind: 'tel',
          direction: 'ltr',
          refusal,
        })}
        ${input({
          name: 'phoneNumberId',
          label: words.id,
          help: words.idHelp,
          direction: 'ltr',
          refusal,
        })}
        ${secret(about, refusal)} <button class="main">${words.connectSubmit}</button>`,
    )}
  </section>`
}

export const whatsapp: Section = {
  show: about => {
    const words = wordsOf(about)
    const { connections } = about.shown
    return html`${connections.length === 0 && html`<p class="empty">${words.none}</p>`}
    ${whyNot(about.refusal, 'state')} ${connections.map(one => card(about, one))}
    ${
      about.visit.own === null
        ? connectCard(about)
        : html`<p class="quiet">${words.askOperator}</p>`
    }`
  },
  deeds: {
    connect: async ({ trx, visit, tenantId, form }) => {
      const wanted = connection.required({ whatsappNumber: true }).parse({
        tenantId,
        phoneNumberId: text(form, 'phoneNumberId')?.trim(),
        whatsappNumber: text(form, 'whatsappNumber') ?? '',
        accessToken: text(form, 'accessToken'),
      })
      await connect(trx, visit.signIn, wanted)
      return { said: wordsOf({ visit }).connected }
    },
    token: async ({ trx, visit, tenantId, form }) => {
      const { phoneNumberId, accessToken } = connection.parse({
        tenantId,
        phoneNumberId: text(form, 'phoneNumberId'),
        accessToken: text(form, 'accessToken'),
      })
      // Whether another business has it is nobody's to know.
      const own = await connectionsOf(trx, tenantId)
      if (!own.some(one => one.phoneNumberId === phoneNumberId))
        throw notFound(`WhatsApp number ${phoneNumberId} of tenant ${tenantId}`)
      await connect(trx, visit.signIn, { tenantId, phoneNumberId, accessToken })
      return { said: wordsOf({ visit }).tokenSaved }
    },
    state: async ({ trx, visit, tenantId, form }) => {
      const wanted = connectionState.parse({
        tenantId,
        phoneNumberId: text(form, 'phoneNumberId'),
        state: text(form, 'state'),
      })
      await setConnectionState(trx, visit.signIn, wanted)
      const words = wordsOf({ visit })
      return { said: wanted.state === 'paused' ? words.paused : words.resumed }
    },
  },
}
