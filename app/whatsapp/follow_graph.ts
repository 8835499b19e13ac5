/** Compares a template with what Meta's Graph API tells about it. */
import { LABELS } from './own_templates.ts'
import { type Button, BUTTONS, placeholdersIn, type Variable } from './templates.ts'

/** Labels of quick replies with the meaning of ours, in lower case. */
const KNOWN_LABELS: Record<Exclude<Button, 'other'>, readonly string[]> = {
  callback: ['תחזרו אליי', 'התקשרו אליי', 'call me'],
  stop: ['הסר', 'הסירו אותי', 'stop', 'stop promotions', 'הפסקת מבצעים'],
}

/** What Graph tells about a template. */
export type GraphTemplate = {
  id: string
  name: string
  language: string
  /** APPROVED, PENDING, REJECTED, PAUSED, DISABLED ... */
  status: string
  category: string | null
  rejectedReason: string | null
  /** Null = it has no body that could be read. */
  body: string | null
  buttons: readonly { isQuickReply: boolean; label: string }[]
  /** Its variables are {{customer_name}} and not {{1}}. */
  isNamed: boolean
}

const meaningOf = ({ isQuickReply, label }: GraphTemplate['buttons'][number]): Button => {
  const text = label.trim().toLowerCase()
  if (!isQuickReply) return 'other'
  return (
    BUTTONS.find(
      one =>
        one !== 'other' &&
        (KNOWN_LABELS[one].includes(text) ||
          LABELS.some(labels => labels[one].toLowerCase() === text)),
    ) ?? 'other'
  )
}

type Content = {
  /** Null = not known. */
  body: string | null
  buttons: readonly Button[]
  variables: readonly Variable[]
}
export type Difference = 'body' | 'buttons' | 'variables'

/**
 * Compares a template with what Graph tells about it. Messages follow Graph, so the result is Graph's template.
 *
 * @param known what was stored here. Buttons that a person named keep their meaning if Graph has as many, since the labels
 * may be the person's own
 */
export const followGraph = (
  known: Content,
  graph: GraphTemplate,
): Omit<Content, 'variables'> & {
  labels: string[]
  differs: Difference[]
  /** The variables that are set here cannot fill it. */
  isUnusable: boolean
} => {
  const found = graph.buttons.map(meaningOf)
  const isAsNamed =
    known.buttons.length === graph.buttons.length &&
    known.buttons.every((one, at) => one === 'other' || graph.buttons[at]?.isQuickReply)
  const buttons = isAsNamed ? known.buttons : found
  const isSameText = (one: string, other: string) => words(one) === words(other)
  const needed = graph.body === null || graph.isNamed ? null : placeholdersIn(graph.body)
  const differs: Record<Difference, boolean> = {
    body: known.body !== null && graph.body !== null && !isSameText(known.body, graph.body),
    buttons: known.buttons.length > 0 && known.buttons.join() !== buttons.join(),
    variables: graph.isNamed || (needed !== null && needed !== known.variables.length),
  }
  return {
    body: graph.body ?? known.body,
    buttons,
    labels: graph.buttons.map(({ label }) => label),
    differs: DIFFERENCES.filter(one => differs[one]),
    isUnusable: graph.isNamed || (needed ?? 0) > known.variables.length,
  }
}
const DIFFERENCES: readonly Difference[] = ['body', 'buttons', 'variables']
const words = (text: string): string => text.replace(/\s+/g, ' ').trim()
