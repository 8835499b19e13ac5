/** What a person may change about the template of a kind of message, and the template that follows from the change. */
import { z } from 'zod'
import { userError } from '../errors.ts'
import {
  type Hours,
  labelOf,
  OWN_BUTTONS,
  type OwnTemplate,
  ownTemplate,
  ownTemplateNamed,
} from '../whatsapp/own_templates.ts'
import { LANGUAGES, placeholdersIn, type TemplateKind, VARIABLES } from '../whatsapp/templates.ts'
import { dialledNumber, tenantId } from './schema.ts'

export const TEMPLATE_KINDS = [
  'initial',
  'reminder_1',
  'reminder_2',
  'owner_notice',
] as const satisfies TemplateKind[]

/** As a word of Meta's for the state: the account has no such template. */
export const MISSING = 'MISSING'

const kind = z.enum(TEMPLATE_KINDS, TEMPLATE_KINDS.join(', '))
export const hours = z.enum(['open', 'closed'], 'open or closed')

const LONGEST_BODY = 1024
const BODY =
  'a text of at most 1,024 characters with {{1}}, {{2}} ... in order, which does not begin or end with one of them'
/** Meta refuses two variables side by side as well. */
const body = z
  .string()
  .trim()
  .min(1, BODY)
  .max(LONGEST_BODY, BODY)
  .refine(text => !/^{{|}}$|}}\s*{{/.test(text), BODY)
  .refine(text => {
    const used = [...text.matchAll(/{{(.*?)}}/g)].map(([, n]) => n)
    return used.every(n => /^\d$/.test(n ?? '')) && new Set(used).size === placeholdersIn(text)
  }, BODY)

const CHANGES = [
  'number',
  'hours',
  'name',
  'language',
  'variables',
  'body',
  'buttons',
  'resume',
  'backToDefault',
] as const

/** A change to the template of one kind of message. Without a kind nothing changes. */
export const templateChange = z
  .object({
    tenantId,
    kind: kind.optional(),
    /** Of the template for calls to this number only. */
    number: dialledNumber.optional(),
    /** Of the template for these hours only. */
    hours: hours.optional(),
    name: z
      .string()
      .regex(/^[a-z0-9_]{1,512}$/, 'lower-case letters, digits and underscores')
      .optional(),
    language: z
      .string()
      .regex(/^[a-z]{2,3}(_[A-Z]{2})?$/, 'a code such as he or en_US')
      .optional(),
    variables: z.array(z.enum(VARIABLES, VARIABLES.join(', '))).optional(),
    body: body.optional(),
    buttons: z.array(z.enum(OWN_BUTTONS, OWN_BUTTONS.join(', '))).optional(),
    resume: z.boolean().default(false),
    backToDefault: z.boolean().default(false),
  })
  .refine(change => change.kind || CHANGES.every(field => !change[field]), {
    path: ['kind'],
    error: `one of ${TEMPLATE_KINDS.join(', ')}`,
  })
  .refine(({ kind, number, hours }) => kind !== 'owner_notice' || !(number ?? hours), {
    path: ['kind'],
    error: 'a kind of message for customers, because of the number or the hours',
  })

export const templateResume = z.object({ tenantId, kind: kind.optional() })

/** Another text for a template that Meta has. */
export const templateResubmit = z.object({
  tenantId,
  kind,
  number: dialledNumber.optional(),
  hours: hours.optional(),
  body: body.optional(),
})

export type TemplateChange = z.infer<typeof templateChange> & { kind: TemplateKind }
/** The calls that a template is for. Null = any. */
export type Scope = { kind: TemplateKind; number: string | null; hours: Hours | null }

export type Wanted = {
  name: string
  language: string
  variables: readonly string[]
  /** Null = not known. */
  body: string | null
  buttons: readonly string[]
  labels: readonly string[]
}

export const wantedStored = ({
  name,
  language,
  variables,
  body,
  buttons,
  labels,
}: Omit<Wanted, 'variables'> & { variables: string }): Wanted => ({
  name,
  language,
  variables: variables.split(',').filter(Boolean),
  body,
  buttons,
  labels,
})

export const wantedOwn = ({
  name,
  language,
  variables,
  text,
  buttons,
  labels,
}: OwnTemplate): Wanted => ({
  name,
  language,
  variables,
  body: text,
  buttons,
  labels,
})

/**
 * The template that a person asks for.
 *
 * @param current the template that is used now
 * @throws UserError if the name is one of ours and the text is not, or if the variables do not fit the text
 */
export const wantedTemplate = (
  { kind, hours }: Scope,
  current: Wanted,
  given: Pick<TemplateChange, 'name' | 'language' | 'variables' | 'body' | 'buttons'>,
): Wanted => {
  const language = given.language ?? current.language
  const known = LANGUAGES.find(one => one === language)
  const ours = ownTemplateNamed(kind, current.name, language)
  // Without a name or a text of its own, a change of the buttons means another one of our templates.
  const name =
    given.name ??
    (ours && known && given.body === undefined
      ? ownTemplate(kind, { language: known, hours, buttons: given.buttons ?? ours.buttons }).name
      : current.name)
  const own = ownTemplateNamed(kind, name, language)
  if (own && given.body !== undefined)
    throw userError(
      'own_name',
      `the template ${name} has a text of Ringback: give your text another name`,
      'name',
    )
  const unknown = { ...current, name, language, body: null, buttons: [], labels: [] }
  const isSame = name === current.name && language === current.language
  const wanted = { ...(isSame ? current : own ? wantedOwn(own) : unknown) }
  if (given.variables) wanted.variables = given.variables
  if (given.body !== undefined) wanted.body = given.body
  if (given.buttons) {
    wanted.buttons = given.buttons
    wanted.labels = given.buttons.map(button => (known ? labelOf(known, button) : button))
  }
  const needed = given.body === undefined ? null : placeholdersIn(given.body)
  if (needed !== null && needed !== wanted.variables.length)
    throw userError(
      'variables_missing',
      `the text has ${needed} variables, and ${wanted.variables.length} are named`,
      'variables',
    )
  return wanted
}
