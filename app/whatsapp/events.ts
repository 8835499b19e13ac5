import { z } from 'zod'

/**
 * The updates we act upon, as Meta's "Webhooks reference" describes them. Loose objects, and nearly everything
 * optional: what Meta adds or leaves out must not keep us from what we need.
 */

/** Far longer than any id that Meta gives, and short enough for every index. */
const LONGEST = 512
const id = z.string().min(1).max(LONGEST)
/** By which somebody is known. What is no such thing is as good as none: the rest of the update still counts. */
const name = z.string().max(LONGEST).optional().catch(undefined)

const contacts = z
  .array(
    z.looseObject({
      wa_id: name,
      user_id: name,
      profile: z.looseObject({ name: z.string().optional() }).optional(),
    }),
  )
  .catch([])

const caption = z.looseObject({ caption: z.string().optional() }).optional().catch(undefined)

export const messageEvent = z.object({
  contacts,
  item: z.looseObject({
    id,
    from: name,
    from_user_id: name,
    type: z.string().catch('unknown'),
    context: z.looseObject({ id: name }).optional().catch(undefined),
    text: z.looseObject({ body: z.string() }).optional().catch(undefined),
    button: z
      .looseObject({ payload: z.string().optional(), text: z.string().optional() })
      .optional()
      .catch(undefined),
    interactive: z
      .looseObject({
        button_reply: z
          .looseObject({ id: z.string().optional(), title: z.string().optional() })
          .optional(),
        list_reply: z
          .looseObject({ id: z.string().optional(), title: z.string().optional() })
          .optional(),
      })
      .optional()
      .catch(undefined),
    reaction: z
      .looseObject({ message_id: name, emoji: z.string().optional() })
      .optional()
      .catch(undefined),
    system: z
      .looseObject({
        type: z.string().optional(),
        wa_id: name,
        user_id: name,
      })
      .optional()
      .catch(undefined),
    image: caption,
    video: caption,
    document: caption,
  }),
})
export type MessageEvent = z.infer<typeof messageEvent>

export const statusEvent = z.object({
  item: z.looseObject({
    id,
    status: z.string(),
    /** Unix seconds, as text. */
    timestamp: z.coerce.number().min(0).max(9_999_999_999).optional().catch(undefined),
    recipient_id: name,
    biz_opaque_callback_data: z.string().optional(),
    pricing: z.looseObject({ category: z.string().optional() }).optional().catch(undefined),
    errors: z
      .array(z.looseObject({ code: z.int32() }))
      .optional()
      .catch(undefined),
  }),
})
export type StatusEvent = z.infer<typeof statusEvent>['item']

export const preferenceEvent = z.object({
  contacts,
  item: z.looseObject({
    wa_id: name,
    user_id: name,
    value: z.string(),
  }),
})

export const echoEvent = z.object({
  item: z.looseObject({
    id,
    to: name,
    to_user_id: name,
  }),
})

export const templateEvent = z.object({
  item: z.looseObject({
    event: z.string(),
    message_template_name: z.string(),
    message_template_language: z.string(),
  }),
})
