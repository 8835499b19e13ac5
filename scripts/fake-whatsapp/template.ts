import type { Template } from './accounts.ts'
import type { Component, Content, Parameter, Refusal, SendRequest } from './send-request.ts'

/** Of a template once it is filled in (Meta, template components page). */
const LONGEST_BODY = 1024

/** Puts the parameters where {{1}} and {{first_name}} stand. */
const fill = (body: string, parameters: Parameter[]): string =>
  body.replaceAll(
    /{{\s*(\w+)\s*}}/g,
    (whole, key: string) =>
      (
        parameters.find(({ parameter_name }) => parameter_name === key) ??
        parameters[Number(key) - 1]
      )?.text ?? whole,
  )

/** Why a template of this state cannot be sent (Meta, template pausing page). */
export const stateCode = {
  approved: undefined,
  pending: 132001,
  rejected: 132001,
  paused: 132015,
  disabled: 132016,
}

/** The quick replies, each with the payload that a tap on it gives back. */
const buttonsOf = (components: Component[], known: Template | undefined) => {
  const sent = components.filter(({ type }) => type.toLowerCase() === 'button')
  const given = sent.map(({ sub_type, index, parameters: [first] }) => ({
    type: sub_type,
    index: Number(index ?? 0),
    payload: first?.payload,
  }))
  // Of a template that is not configured the labels are unknown, so the payloads stand for them.
  if (!known)
    return given.flatMap(({ type, payload = '' }) =>
      type === 'quick_reply' ? [{ text: payload, payload }] : [],
    )
  return known.buttons.flatMap(({ type, text }, at) =>
    // A button whose payload was not sent gives its label back, as Meta does.
    type === 'quick_reply'
      ? [{ text, payload: given.find(({ index }) => index === at)?.payload ?? text }]
      : [],
  )
}

/** The message that a template makes with these components, or why Meta refuses it. */
export const renderTemplate = (
  { name, language, components }: NonNullable<SendRequest['template']>,
  known: Template | undefined,
): Content | Refusal => {
  const parameters = components.find(({ type }) => type.toLowerCase() === 'body')?.parameters ?? []
  const texts = parameters.map(({ text = '' }) => text)
  if (known?.parameters !== undefined && known.parameters !== texts.length)
    return {
      code: 132000,
      details: `body: number of localizable_params (${texts.length}) does not match the expected number of params (${known.parameters})`,
    }
  const text = known?.body ? fill(known.body, parameters) : [name, ...texts].join(' · ')
  if (known?.body && text.length > LONGEST_BODY) return { code: 132005 }
  return {
    type: 'template',
    text,
    template: {
      name,
      language: language.code,
      category: known?.category ?? 'utility',
      parameters: texts,
      buttons: buttonsOf(components, known),
    },
  }
}
