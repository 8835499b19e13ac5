import { Router } from 'express'
import { LANGUAGE_COOKIE } from './language.ts'
import { refuse } from './refuse.ts'
import { backOf } from './sign_in.ts'
import { sessionCookie } from './visitor.ts'
import { z } from 'zod'

const YEAR = 365 * 24 * 60 * 60 * 1000
const choice = z.object({ language: z.enum(['he', 'en']), back: z.string().optional() })

export const framePages = Router()

framePages.post('/language', (req, res) => {
  const { data } = choice.safeParse(req.body)
  if (!data) return refuse(400)
  res.cookie(LANGUAGE_COOKIE, data.language, { sameSite: 'lax', path: '/ops', maxAge: YEAR })
  res.redirect(303, backOf(data.back))
})

framePages.post('/sign-out', (req, res) => {
  const { name, options } = sessionCookie(req)
  res.clearCookie(name, options)
  res.redirect(303, '/ops')
})
