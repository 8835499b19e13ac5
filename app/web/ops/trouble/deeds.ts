/** What a person can do about a trouble. */
import { Router } from 'express'
import { z } from 'zod'
import { resolveUnknown } from '../../../messages/statuses.ts'
import { discardDelivery } from '../../../rejected_deliveries.ts'
import { connectionState, setConnectionState } from '../../../tenants/connections.ts'
import { addNumber, tenantNumber } from '../../../tenants/numbers.ts'
import { changeTemplate, KINDS } from '../../../tenants/templates.ts'
import { discardJob, retryJobs } from '../../../worker/failed_jobs.ts'
import { orSayWhyNot, whence } from '../deed_form.ts'
import { deed, ofTenant, type Visit } from '../page.ts'
import { refuse } from '../refuse.ts'
import { troubleWords } from '../words/trouble.ts'

export const troubleDeeds = Router()

export const idOf = ({ given: { id = '' } }: Visit): string =>
  /^[1-9]\d{0,17}$/.test(id) ? id : refuse(404)

/** For what belongs to no business. */
const operatorsOwn = ({ own }: Visit): void => {
  if (own !== null) refuse(404)
}

troubleDeeds.post(
  '/trouble/deliveries/:id/discard',
  deed(async (trx, visit, form) => {
    const words = troubleWords[visit.language]
    const which = { id: idOf(visit), tenantId: visit.own, alike: form['alike'] === 'yes' }
    const count = await orSayWhyNot({}, () => discardDelivery(trx, visit.signIn, which))
    return { said: words.deliveries.said(count), to: whence(form) }
  }),
)

troubleDeeds.post(
  '/trouble/numbers',
  deed(async (trx, visit, form) => {
    const { numbers: words, refused } = troubleWords[visit.language]
    const wanted = tenantNumber.parse({ tenantId: form['tenant'], phone: form['phone'] })
    operatorsOwn(visit)
    const { judgedAgain } = await orSayWhyNot(refused, () => addNumber(trx, visit.signIn, wanted))
    return { said: words.said(judgedAgain), to: whence(form) }
  }),
)

troubleDeeds.post(
  '/trouble/:tenant/messages/:id/:became',
  deed(async (trx, visit, form) => {
    const { unknown: words, refused } = troubleWords[visit.language]
    const { tenant = '', became } = visit.given
    if (became !== 'arrived' && became !== 'lost') refuse(404)
    const arrived = became === 'arrived'
    const which = { tenantId: ofTenant(visit, tenant), messageId: idOf(visit), arrived }
    await orSayWhyNot(refused, () => resolveUnknown(trx, visit.signIn, which))
    return { said: arrived ? words.saidArrived : words.saidLost, to: whence(form) }
  }),
)

troubleDeeds.post(
  '/trouble/:tenant/resume',
  deed(async (trx, visit, form) => {
    const tenantId = ofTenant(visit, visit.given['tenant'] ?? '')
    await orSayWhyNot({}, async () => {
      if (form['kind'] === undefined) {
        const { phoneNumberId } = form
        const wanted = connectionState.parse({ tenantId, phoneNumberId, state: 'active' })
        await setConnectionState(trx, visit.signIn, wanted)
      } else {
        const kind = z.enum(KINDS).parse(form['kind'])
        const wanted = { tenantId, kind, resume: true, backToDefault: false }
        await changeTemplate(trx, visit.signIn, wanted)
      }
    })
    return { said: troubleWords[visit.language].paused.said, to: whence(form) }
  }),
)

troubleDeeds.post(
  '/trouble/jobs/retry',
  deed(async (trx, visit, form) => {
    operatorsOwn(visit)
    const { jobs: words } = troubleWords[visit.language]
    const { task } = z.object({ task: z.string().max(128) }).parse(form)
    const count = await orSayWhyNot({}, () => retryJobs(trx, visit.signIn, { task }))
    return { said: words.saidRetry(count), to: whence(form) }
  }),
)

troubleDeeds.post(
  '/trouble/jobs/:id/retry',
  deed(async (trx, visit, form) => {
    operatorsOwn(visit)
    const { jobs: words } = troubleWords[visit.language]
    const which = { jobId: idOf(visit) }
    const count = await orSayWhyNot({}, () => retryJobs(trx, visit.signIn, which))
    return { said: words.saidRetry(count), to: whence(form) }
  }),
)

troubleDeeds.post(
  '/trouble/jobs/:id/discard',
  deed(async (trx, visit, form) => {
    operatorsOwn(visit)
    const { jobs: words, refused } = troubleWords[visit.language]
    await orSayWhyNot(refused, () => discardJob(trx, visit.signIn, idOf(visit)))
    return { said: words.saidDiscard, to: whence(form) }
  }),
)
