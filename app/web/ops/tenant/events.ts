/** The addresses of other programs that get the events of a tenant, and what was sent to them. */
import { config } from '../../../config.ts'
import { isUserError } from '../../../errors.ts'
import { checkHost } from '../../../events/post.ts'
import {
  deliveriesOf,
  resend,
  resendInput,
  type ShownDelivery,
  testEndpoint,
} from '../../../events/deliveries.ts'
import {
  addEndpoint,
  type Endpoint,
  endpointInput,
  listEndpoints,
  MAX_COUNTED,
  MAX_ENDPOINTS,
  newEndpoint,
  removeEndpoint,
  rotateSecret,
} from '../../../events/endpoints.ts'
import { EVENT_TYPES } from '../../../states.ts'
import { copyable } from '../copy.ts'
import { dateTime } from '../format.ts'
import {
  actionForm,
  buttonAlert,
  checkbox,
  confirmForm,
  fieldProblem,
  formAlert,
  formValue,
  formValues,
  input,
} from '../forms.ts'
import { html, type Html, table } from '../html.ts'
import { eventsTexts } from '../locales/events.ts'
import {
  type ActionContext,
  failedForm,
  type Section,
  sectionForm,
  tenantPath,
  type View,
} from './section.ts'

/** Of each endpoint; npm run tenant -- webhook deliveries shows more. */
const MAX_DELIVERIES = 10

const result = ({ status, error }: ShownDelivery, view: View): string => {
  const texts = eventsTexts[view.context.language]
  if (status !== null) return texts.status(status)
  return error === null ? '' : texts.errors[error]
}

const deliveriesTable = (
  view: View,
  { endpointId, state }: Endpoint,
  deliveries: ShownDelivery[],
): Html => {
  const { context, tenant } = view
  const { language } = context
  const texts = eventsTexts[language]
  const at = (moment: Date | null) => moment && dateTime(moment, language, tenant.timezone)
  return table(deliveries, [
    [texts.event, ({ type }) => html`${texts.types[type]}`],
    [texts.happened, ({ createdAt }) => html`${at(createdAt)}`],
    [
      texts.result,
      one =>
        html`${texts.states[one.state]} ${result(one, view)}
        ${one.dueAt && state === 'active' && html`<small>${texts.next} ${at(one.dueAt)}</small>`}`,
    ],
    [
      texts.action,
      ({ deliveryId, state: sent, webhookId }) =>
        state === 'active' && sent !== 'sending'
          ? actionForm(context, {
              path: tenantPath(tenant.tenantId, 'events', 'resend'),
              label: texts.again,
              fields: { endpointId, deliveryId },
              about: webhookId,
            })
          : html`–`,
    ],
  ])
}

const endpointCard = (view: View, endpoint: Endpoint, deliveries: ShownDelivery[]): Html => {
  const { context, tenant, failed } = view
  const { endpointId, url, events, state, stateReason, waiting, rotatingUntil } = endpoint
  const { language } = context
  const texts = eventsTexts[language]
  const isFailed = failed && formValue(failed.entered, 'endpointId') === endpointId
  const button = (action: string, label: string) =>
    actionForm(context, {
      path: tenantPath(tenant.tenantId, 'events', action),
      label,
      fields: { endpointId },
      about: endpointId,
    })
  const confirmed = (action: string, open: string, warning: string, label: string) =>
    confirmForm(context, {
      id: `${action}-${endpointId}`,
      open,
      warning,
      path: tenantPath(tenant.tenantId, 'events', action),
      label,
      fields: { endpointId },
      about: endpointId,
    })
  const names = EVENT_TYPES.filter(type => events.includes(type)).map(type => texts.types[type])
  return html`<section class="card" id="endpoint-${endpointId}">
    <h2>
      <bdi class="address" dir="ltr">${url}</bdi>
      <span class="badge ${state === 'active' ? 'good' : 'bad'}"
        >${texts.endpointStates[state]}</span
      >
    </h2>
    ${isFailed && buttonAlert(failed, 'test', 'rotate', 'remove', 'resend')}
    ${stateReason && html`<p class="problem">⚠ ${texts.reasons[stateReason]}</p>`}
    <p class="quiet">
      ${names.length === EVENT_TYPES.length ? texts.all : names.join(', ')}.
      ${waiting > 0 && texts.waiting(waiting > MAX_COUNTED ? `${MAX_COUNTED.toLocaleString('en')}+` : `${waiting}`)}
    </p>
    ${
      rotatingUntil &&
      html`<p class="quiet">
        ${texts.rotating} ${dateTime(rotatingUntil, language, tenant.timezone)}.
      </p>`
    }
    ${state === 'disabled' && button('resend', texts.enable)} ${button('test', texts.test)}
    ${deliveries.length > 0 && deliveriesTable(view, endpoint, deliveries)}
    ${confirmed('rotate', texts.rotate, texts.rotateMeans, texts.rotateYes)}
    ${confirmed('remove', texts.remove, texts.removeMeans, texts.removeYes)}
  </section>`
}

const addCard = (view: View): Html => {
  const texts = eventsTexts[view.context.language]
  const failed = failedForm(view, 'add')
  const chosen = failed ? formValues(failed.entered, 'events') : EVENT_TYPES
  return html`<section class="card">
    <h2>${texts.add}</h2>
    <p class="quiet">${texts.help}</p>
    ${formAlert(view.context.language, view.failed, 'add')}
    ${sectionForm(
      view,
      'events',
      'add',
      html`${input({
          name: 'url',
          label: texts.url,
          help: texts.urlHelp,
          direction: 'ltr',
          failed,
        })}
        <fieldset>
          <legend>${texts.which}</legend>
          ${EVENT_TYPES.map(type =>
            checkbox(
              'events',
              type,
              html`${texts.types[type]} <small dir="ltr">${type}</small>`,
              chosen.some(one => one === type),
            ),
          )}
          ${fieldProblem(failed, 'events')}
        </fieldset>
        <button class="main">${texts.submit}</button>`,
    )}
  </section>`
}

const keyOf = ({ tenantId, form }: ActionContext) =>
  endpointInput.parse({ tenantId, endpointId: formValue(form, 'endpointId') })

export const events: Section = {
  show: async view => {
    const { trx, tenant } = view
    const endpoints = await listEndpoints(trx, tenant.tenantId)
    const cards: Html[] = []
    for (const endpoint of endpoints) {
      const key = { tenantId: tenant.tenantId, endpointId: endpoint.endpointId }
      cards.push(endpointCard(view, endpoint, await deliveriesOf(trx, key, MAX_DELIVERIES)))
    }
    return html`${cards} ${endpoints.length < MAX_ENDPOINTS && addCard(view)}`
  },
  once: ({ context: { language }, tenant: { tenantId } }, action, secret) => {
    const texts = eventsTexts[language]
    return html`<section class="card">
      <h2>${texts.secretTitle}</h2>
      ${copyable(language, 'new-secret', texts.secret, secret)}
      <p><b>${texts.once}</b></p>
      <p>${action === 'rotate' ? texts.afterRotation : texts.afterAdding}</p>
      <p><a class="button" href="${tenantPath(tenantId, 'events')}">${texts.back}</a></p>
    </section>`
  },
  // The name is looked up while no transaction is open.
  ask: async ({ action, tenantId, form }) => {
    if (action !== 'add') return {}
    const wanted = newEndpoint.shape.url.safeParse(formValue(form, 'url'))
    if (!wanted.success) return {}
    try {
      await checkHost(wanted.data, config())
      return {}
    } catch (error) {
      if (isUserError(error)) return { refused: error }
      throw new Error(`an address of tenant ${tenantId} was not looked up`, { cause: error })
    }
  },
  actions: {
    add: async ({ trx, context, tenantId, form, prepared }) => {
      const wanted = newEndpoint.parse({
        tenantId,
        url: formValue(form, 'url'),
        events: formValues(form, 'events'),
      })
      if (prepared?.refused) throw prepared.refused
      const { secret } = await addEndpoint(trx, context.signIn, wanted)
      return { secret }
    },
    rotate: async request => {
      const { secret } = await rotateSecret(request.trx, request.context.signIn, keyOf(request))
      return { secret }
    },
    test: async request => {
      await testEndpoint(request.trx, request.context.signIn, keyOf(request))
      return { flash: eventsTexts[request.context.language].tested }
    },
    remove: async request => {
      await removeEndpoint(request.trx, request.context.signIn, keyOf(request))
      return { flash: eventsTexts[request.context.language].removed }
    },
    resend: async request => {
      const deliveryId = formValue(request.form, 'deliveryId')
      const wanted = resendInput.parse({ ...keyOf(request), deliveryId })
      await resend(request.trx, request.context.signIn, wanted)
      const texts = eventsTexts[request.context.language]
      return { flash: deliveryId === undefined ? texts.enabled : texts.resent }
    },
  },
}
