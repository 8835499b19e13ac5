/** The templates of a WhatsApp Business account, as Meta's Graph API knows them. */
import { z } from 'zod'
import { refusalIn, requestGraph } from './graph.ts'
import type { GraphTemplate } from './follow_graph.ts'
import type { TemplateKind } from './templates.ts'

export type TemplateList =
  /** `isComplete` is false if there may be more. Then a template that is not in the list may still exist. */
  | { kind: 'listed'; templates: GraphTemplate[]; isComplete: boolean }
  /** Graph said no: the token (190), or the account. */
  | { kind: 'refused'; code: number }
  | { kind: 'unanswered' }

/** For all pages together. */
export const LIST_TIMEOUT_MS = 10_000
const FIELDS = 'id,name,language,status,category,rejected_reason,parameter_format,components'
const PAGE_SIZE = 100
/** An account has 250 templates; a verified business may have 6,000. */
const MAX_PAGES = 60

/** Meta's own limits are lower. */
const LONGEST_BODY = 4096
const LONGEST_LABEL = 100
const MAX_BUTTONS = 20

const text = z.string().optional().catch(undefined)
const button = z.looseObject({ type: z.string().catch(''), text: z.string().catch('') })
const component = z.looseObject({
  type: z.string().catch(''),
  text,
  buttons: z.array(button).catch([]),
})
/** A field in an unknown form is ignored. Without its name and language, a template cannot be recognised. */
const listed = z.looseObject({
  id: z.coerce.string(),
  name: z.string(),
  language: z.string(),
  status: z.string().transform(status => status.toUpperCase()),
  category: text,
  rejected_reason: text,
  parameter_format: text,
  components: z.array(component).catch([]),
})
const page = z.looseObject({
  data: z.array(z.unknown()),
  paging: z
    .looseObject({ next: text, cursors: z.looseObject({ after: text }).optional() })
    .optional()
    .catch(undefined),
})

const templateIn = (found: z.infer<typeof listed>): GraphTemplate => {
  const part = (type: string) =>
    found.components.find(component => component.type.toUpperCase() === type)
  const { rejected_reason: reason } = found
  return {
    id: found.id,
    name: found.name,
    language: found.language,
    status: found.status,
    category: found.category?.toUpperCase() ?? null,
    rejectedReason: reason && reason !== 'NONE' ? reason : null,
    body: part('BODY')?.text?.slice(0, LONGEST_BODY) ?? null,
    buttons: (part('BUTTONS')?.buttons ?? [])
      .slice(0, MAX_BUTTONS)
      .map(({ type, text: label }) => ({
        isQuickReply: type.toUpperCase() === 'QUICK_REPLY',
        label: label.slice(0, LONGEST_LABEL),
      })),
    isNamed: found.parameter_format?.toUpperCase() === 'NAMED',
  }
}

/** Lists the templates of an account. It never throws, and takes ten seconds at most. */
export const listTemplates = async ({
  wabaId,
  accessToken: token,
}: {
  wabaId: string
  accessToken: string
}): Promise<TemplateList> => {
  const signal = AbortSignal.timeout(LIST_TIMEOUT_MS)
  const templates: GraphTemplate[] = []
  let isComplete = true
  let after: string | undefined
  for (let pages = 0; pages < MAX_PAGES; pages++) {
    const query = new URLSearchParams({ fields: FIELDS, limit: String(PAGE_SIZE) })
    if (after) query.set('after', after)
    const answer = await requestGraph(
      `${encodeURIComponent(wabaId)}/message_templates?${query.toString()}`,
      {
        token,
        signal,
      },
    )
    const refusal = refusalIn(answer)
    if (refusal) return { kind: 'refused', code: refusal.code }
    const { data: found } = page.safeParse(answer)
    if (!found) return { kind: 'unanswered' }
    for (const one of found.data) {
      const { data: template } = listed.safeParse(one)
      if (template) templates.push(templateIn(template))
      else isComplete = false
    }
    after = found.paging?.cursors?.after
    if (!found.paging?.next || !after) return { kind: 'listed', templates, isComplete }
  }
  return { kind: 'listed', templates, isComplete: false }
}

/** A template as it is submitted. */
export type Submission = {
  kind: TemplateKind
  name: string
  language: string
  body: string
  /** The labels of its quick replies, in order. */
  labels: readonly string[]
  /** An example of each variable, for the people who review it. */
  examples: readonly string[]
}

export type SubmitAnswer =
  | { kind: 'accepted'; id: string; status: string; category: string | null }
  | { kind: 'refused'; code: number; subcode: number | null; message: string }
  | { kind: 'unanswered' }

/** For all templates of a command together. */
export const SUBMIT_TIMEOUT_MS = 20_000

/**
 * How long Meta tries to deliver a message. By default 30 days: a phone that was off would show it long after. Utility
 * templates allow at most 12 hours.
 */
const TTL_SECONDS: Record<TemplateKind, number> = {
  // The first reminder comes after two hours.
  initial: 7200,
  reminder_1: 43_200,
  reminder_2: 43_200,
  owner_notice: 3600,
}

const created = z.looseObject({
  id: z.coerce.string(),
  status: z
    .string()
    .transform(status => status.toUpperCase())
    .catch('PENDING'),
  category: text,
})
const edited = z.looseObject({ success: z.literal(true) })

/** Meta's texts for people are short. This one is stored and shown. */
const LONGEST_MESSAGE = 500

type Access = { accessToken: string; signal: AbortSignal }

const answered = (answer: unknown): SubmitAnswer | undefined => {
  const refusal = refusalIn(answer)
  return (
    refusal && {
      kind: 'refused',
      code: refusal.code,
      subcode: refusal.error_subcode ?? null,
      message: (refusal.error_user_msg ?? refusal.message ?? '').slice(0, LONGEST_MESSAGE),
    }
  )
}

const contentOf = ({ kind, body, labels, examples }: Submission) => ({
  category: 'UTILITY',
  message_send_ttl_seconds: TTL_SECONDS[kind],
  components: [
    {
      type: 'BODY',
      text: body,
      ...(examples.length > 0 && { example: { body_text: [examples] } }),
    },
    ...(labels.length > 0
      ? [{ type: 'BUTTONS', buttons: labels.map(label => ({ type: 'QUICK_REPLY', text: label })) }]
      : []),
  ],
})

/** Submits a template to Meta, which then reviews it. It never throws. */
export const createTemplate = async (
  { accessToken: token, signal }: Access,
  wabaId: string,
  submission: Submission,
): Promise<SubmitAnswer> => {
  const { name, language } = submission
  const body = { name, language, parameter_format: 'POSITIONAL', ...contentOf(submission) }
  const path = `${encodeURIComponent(wabaId)}/message_templates`
  const answer = await requestGraph(path, { token, signal, body })
  const { data: made } = created.safeParse(answer)
  if (!made) return answered(answer) ?? { kind: 'unanswered' }
  return {
    kind: 'accepted',
    id: made.id,
    status: made.status,
    category: made.category?.toUpperCase() ?? null,
  }
}

/** Submits another text for a template that Meta has. Meta reviews it again. It never throws. */
export const editTemplate = async (
  { accessToken: token, signal }: Access,
  id: string,
  submission: Submission,
): Promise<SubmitAnswer> => {
  const body = contentOf(submission)
  const answer = await requestGraph(encodeURIComponent(id), { token, signal, body })
  if (!edited.safeParse(answer).success) return answered(answer) ?? { kind: 'unanswered' }
  return { kind: 'accepted', id, status: 'PENDING', category: null }
}
