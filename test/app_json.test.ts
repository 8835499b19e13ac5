/** app.json, by which Heroku's button and pipelines make an app: of the form that Heroku takes, and of settings that exist. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { z } from 'zod'
import { readConfig, settings } from '../app/config.ts'

/** As much of https://devcenter.heroku.com/articles/app-json-schema as is used here. */
const manifest = z.strictObject({
  name: z.string().min(3).max(30),
  description: z.string().max(140),
  keywords: z.array(z.string()),
  success_url: z.literal('/ops'),
  buildpacks: z.tuple([z.strictObject({ url: z.literal('heroku/nodejs') })]),
  addons: z.tuple([z.strictObject({ plan: z.literal('heroku-postgresql:essential-0') })]),
  formation: z.strictObject({
    web: z.strictObject({ quantity: z.literal(1), size: z.literal('basic') }),
  }),
  env: z.record(
    z.string(),
    z.strictObject({
      description: z.string().min(20),
      value: z.string().optional(),
      generator: z.literal('secret').optional(),
      required: z.boolean().optional(),
    }),
  ),
})
const file = readFileSync(new URL('../app.json', import.meta.url), 'utf8')
const { env, formation } = manifest.parse(JSON.parse(file))
const procfile = readFileSync(new URL('../Procfile', import.meta.url), 'utf8')

for (const name of Object.keys(env)) t.ok(name in settings.shape, `${name} is a setting`)
for (const role of Object.keys(formation)) t.match(procfile, `${role}: `)
t.match(procfile, /^release: node scripts\/migrate\.ts$/m)

/** What an app has whose maker enters only what must be entered. Of 64 hexadecimal digits, as Heroku generates them. */
const made = Object.fromEntries(
  Object.entries(env)
    .filter(([, { required = true }]) => required)
    .map(([name, { value, generator }]) => [
      name,
      value ?? (generator ? 'ab'.repeat(32) : Buffer.alloc(32).toString('base64')),
    ]),
)
// The add-on sets DATABASE_URL, and there is nothing in that which tells how TLS is meant.
const DATABASE_URL = 'postgres://u:p@ec2.compute.example:5432/d'
t.match(readConfig({ ...made, DATABASE_URL }), { production: true, ROLE: 'all' })
t.throws(() => readConfig({ ...made, DATABASE_URL, ENCRYPTION_KEY: 'ab'.repeat(32) }), {
  message: /ENCRYPTION_KEY: expected 32 bytes/,
})
t.equal(env['ENCRYPTION_KEY']?.generator, undefined, 'so it is not generated')
