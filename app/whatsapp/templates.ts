/** What a message of each kind says: a template, approved by Meta under this name and language. */

export type MessageKind = 'initial' | 'reminder_1' | 'reminder_2'

const NAMES: Record<MessageKind, string> = {
  initial: 'ringback_missed_call',
  reminder_1: 'ringback_reminder_1',
  reminder_2: 'ringback_reminder_2',
}

/** The default templates have one variable, {{1}}: the name of the business. */
export const templateFor = (kind: MessageKind, tenant: { name: string }) => ({
  template: NAMES[kind],
  language: 'he',
  variables: [tenant.name],
})
