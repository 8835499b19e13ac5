import express from 'express'
import type { Router } from 'express'
import { z } from 'zod'
import type { FakeWhatsApp } from './fake.ts'
import { page, phones } from './page.ts'
import { e164 } from './phone.ts'

const pair = { phone: e164, phoneNumberId: z.string() }
const said = z.object({ ...pair, text: z.string().min(1) })
const tapped = said.extend({ context: z.string(), payload: z.string() })
const preference = z.object({ ...pair, value: z.enum(['stop', 'resume']) })

/** What the buttons of the inbox page do, by the last part of their address. */
const actions = (fake: FakeWhatsApp) => {
  const say = async (form: unknown) => {
    const { phone, ...rest } = said.parse(form)
    await fake.inbound({ kind: 'text', from: phone, ...rest })
  }
  const tap = async (form: unknown) => {
    const { phone, ...rest } = tapped.parse(form)
    await fake.inbound({ kind: 'button', from: phone, ...rest })
  }
  const owner = async (form: unknown) => {
    const { phone, ...rest } = said.parse(form)
    await fake.inbound({ kind: 'echo', to: phone, ...rest })
  }
  const stopOrResume = async (form: unknown) => {
    const { phone, ...rest } = preference.parse(form)
    await fake.inbound({ kind: 'user_preferences', from: phone, ...rest })
  }
  const read = async (form: unknown) => {
    const { phone } = z.object(pair).parse(form)
    const unread = fake.inbox(phone).filter(one => !one.statuses.some(is => is.status === 'read'))
    for (const { wamid } of unread) await fake.sendStatus(wamid, { status: 'read' })
  }
  return new Map(Object.entries({ say, tap, owner, preference: stopOrResume, read }))
}

/** The inbox page at `/`, for people who watch the demo; scripts use the control endpoints. */
export const pageRoutes = (fake: FakeWhatsApp): Router => {
  const router = express.Router()
  const known = actions(fake)
  router.get('/', (_req, res) => {
    res.type('html').send(page(fake).html)
  })
  router.get('/page/phones', (_req, res) => {
    res.type('html').send(phones(fake).html)
  })
  router.post('/page/:action', express.urlencoded(), (req, res, next) => {
    const action = known.get(req.params.action)
    if (!action) return next()
    action(req.body)
      .then(() => res.redirect(303, '/'))
      .catch((error: unknown) => res.status(400).type('text').send(String(error)))
  })
  return router
}
