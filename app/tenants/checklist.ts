/**
 * The set-up of a tenant: what is done, with its evidence, and the problems. A pure function. The page of the tenant
 * and `npm run tenant -- check` show the same. checklist_facts.ts reads the facts.
 */
import type { MessageState } from '../states.ts'
import type { TemplateKind } from '../whatsapp/templates.ts'

/** In the order in which they are done. */
export const STEPS = [
  'calls',
  'numbers',
  'whatsapp',
  'events',
  'templates',
  'test',
  'quiet',
] as const
export type StepName = (typeof STEPS)[number]

/** What shows that something is done. */
export type EvidenceCode =
  | 'first_call'
  | 'last_call'
  | 'number_called'
  | 'number_confirmed'
  | 'graph_confirmed'
  | 'account_confirmed'
  | 'webhook_verified'
  | 'signed_event'
  | 'template_approved'
  | 'test_delivered'
  | 'test_read'
  | 'quiet_chosen'

/** The problems. open = to do; waiting = WhatsApp has not decided or reported yet; wrong = a mistake, or it broke. */
export const PROBLEMS = {
  no_calls: 'open',
  no_number: 'wrong',
  unknown_number: 'wrong',
  number_unseen: 'open',
  not_connected: 'open',
  connection_unconfirmed: 'open',
  token_wrong: 'wrong',
  number_id_wrong: 'wrong',
  account_wrong: 'wrong',
  account_unknown: 'open',
  connection_paused: 'wrong',
  app_secret_missing: 'wrong',
  app_secret_wrong: 'wrong',
  verify_token_missing: 'wrong',
  verify_token_wrong: 'wrong',
  not_verified: 'open',
  no_events: 'open',
  template_unknown: 'open',
  template_missing: 'open',
  template_pending: 'waiting',
  template_refused: 'wrong',
  template_rejected: 'wrong',
  template_paused: 'wrong',
  template_marketing: 'wrong',
  template_differs: 'wrong',
  no_owner_phone: 'open',
  no_test: 'open',
  test_pending: 'waiting',
  test_failed: 'wrong',
  test_unanswered: 'wrong',
  no_quiet_windows: 'open',
} as const
export type ProblemCode = keyof typeof PROBLEMS

/** A number, an account or a template, if there may be several. */
type About = { about: string | null; kind?: TemplateKind }
export type Evidence = About & { code: EvidenceCode; at: Date | null }
export type Problem = About & {
  code: ProblemCode
  /** How many calls came to an unknown number. */
  calls?: number
  /** Why something is paused or failed, as it is stored: `WhatsApp error 190`, `template REJECTED`, PROMOTIONAL. */
  reason?: string | null
}
export type StepState = 'done' | 'open' | 'waiting' | 'wrong'
export type Step = { name: StepName; state: StepState; evidence: Evidence[]; missing: Problem[] }

export type Facts = {
  firstCallAt: Date | null
  lastCallAt: Date | null
  numbers: readonly { phone: string; seenAt: Date | null; confirmedAt: Date | null }[]
  /** In CDRs that came with the token of the tenant, and that belong to no tenant. */
  unknownNumbers: readonly { phone: string; calls: number }[]
  /** Without those whose number has another id now. */
  connections: readonly Connection[]
  /** Of the installation: Meta asks once for all tenants. */
  meta: {
    hasAppSecret: boolean
    hasVerifyToken: boolean
    verifiedAt: Date | null
    refusedAt: Date | null
  }
  templates: readonly Template[]
  ownerPhone: string | null
  /** The last test message. `reportedAt`: when WhatsApp reported that it was delivered or read. */
  test: { state: MessageState; code: number | null; reportedAt: Date | null } | null
  quiet: { isChosen: boolean; chosenAt: Date | null }
}
type Connection = {
  displayNumber: string
  phoneNumberId: string
  wabaId: string | null
  state: string
  reason: string | null
  confirmedAt: Date | null
  accountConfirmedAt: Date | null
  graphRefusal: string | null
  hasAppSecret: boolean
  eventAt: Date | null
  wrongSignatureAt: Date | null
}
type Template = {
  kind: TemplateKind
  name: string
  state: string
  reason: string
  metaStatus: string | null
  metaReason: string | null
  submitError: string | null
  isHeld: boolean
  differs: readonly string[]
  stateAt: Date | null
  syncedAt: Date | null
}

export const checklist = (facts: Facts): Step[] => {
  const found: Record<StepName, [Evidence[], Problem[]]> = {
    calls: [callEvidence(facts), facts.firstCallAt ? [] : [problem('no_calls')]],
    numbers: numbers(facts),
    whatsapp: whatsapp(facts),
    events: events(facts),
    templates: templates(facts),
    test: test(facts),
    quiet: facts.quiet.isChosen
      ? [[{ code: 'quiet_chosen', about: null, at: facts.quiet.chosenAt }], []]
      : [[], [problem('no_quiet_windows')]],
  }
  return STEPS.map(name => {
    const [evidence, missing] = found[name]
    return { name, state: stateOf(missing), evidence, missing }
  })
}

/** Everything but that the tenant is live. */
export const isSetUp = (steps: readonly Step[]): boolean =>
  steps.every(({ state }) => state === 'done')

const problem = (
  code: ProblemCode,
  about: string | null = null,
  more: Partial<Problem> = {},
): Problem => ({ code, about, ...more })

const evidence = (code: EvidenceCode, about: string | null, at: Date | null): Evidence[] =>
  at ? [{ code, about, at }] : []

const stateOf = (missing: readonly Problem[]): StepState => {
  if (missing.length === 0) return 'done'
  const states = missing.map(({ code }) => PROBLEMS[code])
  if (states.includes('wrong')) return 'wrong'
  return states.includes('open') ? 'open' : 'waiting'
}

const callEvidence = ({ firstCallAt, lastCallAt }: Facts): Evidence[] => [
  ...evidence('first_call', null, firstCallAt),
  ...evidence('last_call', null, lastCallAt),
]

const numbers = ({ numbers: all, unknownNumbers }: Facts): [Evidence[], Problem[]] => [
  all.flatMap(({ phone, seenAt, confirmedAt }) =>
    seenAt
      ? evidence('number_called', phone, seenAt)
      : evidence('number_confirmed', phone, confirmedAt),
  ),
  [
    ...(all.length === 0 ? [problem('no_number')] : []),
    ...unknownNumbers.map(({ phone, calls }) => problem('unknown_number', phone, { calls })),
    ...all.flatMap(({ phone, seenAt, confirmedAt }) =>
      seenAt || confirmedAt ? [] : problem('number_unseen', phone),
    ),
  ],
]

/** Codes of WhatsApp, in `state_reason`, that mean the token (190 and permissions) or the number (100/33). */
const TOKEN_REASON = /^WhatsApp error (0|3|10|190|131005|2\d\d)$/
const NUMBER_REASON = /^WhatsApp error 100\/33$/

/** The problems of a WhatsApp number. */
export const connectionProblems = (one: Connection): Problem[] => {
  const { displayNumber: about, phoneNumberId, state, reason, graphRefusal, wabaId } = one
  const isPaused = state !== 'active'
  if (graphRefusal === 'token' || (isPaused && TOKEN_REASON.test(reason ?? '')))
    return [problem('token_wrong', about)]
  if (graphRefusal === 'number' || (isPaused && NUMBER_REASON.test(reason ?? '')))
    return [problem('number_id_wrong', about, { reason: phoneNumberId })]
  if (isPaused) return [problem('connection_paused', about, { reason })]
  if (!one.confirmedAt) return [problem('connection_unconfirmed', about)]
  if (graphRefusal === 'account') return [problem('account_wrong', about, { reason: wabaId })]
  return one.accountConfirmedAt ? [] : [problem('account_unknown', about)]
}

const whatsapp = ({ connections }: Facts): [Evidence[], Problem[]] => [
  connections.flatMap(one => [
    ...evidence('graph_confirmed', one.displayNumber, one.confirmedAt),
    ...evidence('account_confirmed', one.wabaId, one.accountConfirmedAt),
  ]),
  connections.length === 0 ? [problem('not_connected')] : connections.flatMap(connectionProblems),
]

const isAfter = (at: Date | null, than: Date | null): boolean =>
  at !== null && (than === null || at > than)

/** Meta verifies the address once. Then each number must send events, signed with a secret that is known here. */
const events = ({ connections, meta }: Facts): [Evidence[], Problem[]] => {
  const { hasAppSecret, hasVerifyToken, verifiedAt, refusedAt } = meta
  const hasSecret = (one: Connection) => hasAppSecret || one.hasAppSecret
  const ofInstallation: Problem[] = []
  if (connections.length === 0 ? !hasAppSecret : !connections.every(hasSecret))
    ofInstallation.push(problem('app_secret_missing'))
  // Anyone can ask with a wrong token. Where events come, it means nothing.
  const areHeard = connections.length > 0 && connections.every(({ eventAt }) => eventAt !== null)
  const isRefused = isAfter(refusedAt, verifiedAt) && !(verifiedAt && areHeard)
  if (!hasVerifyToken) ofInstallation.push(problem('verify_token_missing'))
  else if (isRefused) ofInstallation.push(problem('verify_token_wrong'))
  else if (!verifiedAt) ofInstallation.push(problem('not_verified'))
  const ofNumbers = connections.filter(hasSecret).flatMap((one): Problem[] => {
    const { displayNumber: about, wabaId, eventAt, wrongSignatureAt } = one
    if (isAfter(wrongSignatureAt, eventAt)) return [problem('app_secret_wrong', about)]
    // Without the verification nothing can come.
    return eventAt || isRefused || !verifiedAt
      ? []
      : [problem('no_events', about, { reason: wabaId })]
  })
  return [
    [
      ...evidence('webhook_verified', null, verifiedAt),
      ...connections.flatMap(one => evidence('signed_event', one.displayNumber, one.eventAt)),
    ],
    [
      ...ofInstallation,
      ...ofNumbers,
      ...(connections.length === 0 ? [problem('not_connected')] : []),
    ],
  ]
}

const isReviewed = ({ reason }: Template): boolean =>
  reason !== 'template PENDING' && reason !== 'template IN_APPEAL'

const templateProblem = (template: Template): Problem | null => {
  const { kind, name, state, reason, metaStatus, metaReason, submitError } = template
  const of = (code: ProblemCode, why: string | null = null) =>
    problem(code, name, { kind, reason: why })
  if (submitError !== null && metaStatus !== 'APPROVED') return of('template_refused', submitError)
  if (state === 'paused') {
    if (!isReviewed(template)) return of('template_pending')
    if (reason === 'template MISSING') return of('template_missing')
    if (reason === 'template REJECTED') return of('template_rejected', metaReason)
    return of('template_paused', reason)
  }
  if (template.isHeld) return of('template_marketing')
  if (template.differs.length > 0) return of('template_differs')
  return metaStatus === 'APPROVED' ? null : of('template_unknown')
}

/** Several numbers in one account share its templates. */
const once = <Found extends About & { code: string }>(all: readonly Found[]): Found[] => [
  ...new Map(all.map(one => [`${one.code} ${one.kind} ${one.about}`, one])).values(),
]

const templates = ({ connections, templates: all }: Facts): [Evidence[], Problem[]] => [
  once(
    all.flatMap(template => {
      const { kind, name, stateAt, syncedAt } = template
      const isApproved = templateProblem(template) === null
      const at = stateAt ?? syncedAt
      return isApproved ? { code: 'template_approved' as const, about: name, kind, at } : []
    }),
  ),
  connections.length === 0
    ? [problem('not_connected')]
    : once(all.flatMap(template => templateProblem(template) ?? [])),
]

const PENDING: readonly MessageState[] = ['scheduled', 'sending', 'accepted', 'sent']

const test = ({ ownerPhone, test: last }: Facts): [Evidence[], Problem[]] => {
  if (last?.state === 'delivered' || last?.state === 'read')
    return [
      [
        {
          code: last.state === 'read' ? 'test_read' : 'test_delivered',
          about: null,
          at: last.reportedAt,
        },
      ],
      [],
    ]
  if (!ownerPhone) return [[], [problem('no_owner_phone')]]
  if (!last) return [[], [problem('no_test')]]
  if (PENDING.includes(last.state)) return [[], [problem('test_pending')]]
  if (last.state === 'unknown') return [[], [problem('test_unanswered')]]
  const reason = last.code === null ? null : `WhatsApp error ${last.code}`
  return [[], [problem('test_failed', null, { reason })]]
}
