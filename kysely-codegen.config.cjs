// The types of the tables, app/db/generated.ts. The columns below get their types from app/states.ts.
const { GenericExpressionNode, IdentifierNode } = require('kysely-codegen')

const state = name => new IdentifierNode(name)
const generated = name => new GenericExpressionNode('Generated', [new IdentifierNode(name)])

const columns = {
  'missed_calls.outreach_state': state('OutreachState'),
  'missed_calls.outreach_reason': state('OutreachReason'),
  'missed_calls.hold_reason': state('HoldReason'),
  'messages.hold_reason': state('HoldReason'),
  'messages.direction': state('MessageDirection'),
  'messages.kind': state('MessageKind'),
  'messages.state': state('MessageState'),
  'lead_conversations.state': generated('ConversationState'),
  'lead_conversations.reason': state('ConversationReason'),
  'leads.state': generated('LeadState'),
  'leads.called_back_from': state('CalledBackFrom'),
  'leads.outcome': state('Outcome'),
  'event_deliveries.state': generated('DeliveryState'),
  'event_deliveries.error': state('DeliveryError'),
  'event_endpoints.state': generated('EndpointState'),
  'event_endpoints.state_reason': state('EndpointReason'),
  'events.type': state('EventType'),
}
const names = Object.values(columns).flatMap(node => (node.args ?? [node]).map(({ name }) => name))

module.exports = {
  dialect: 'postgres',
  outFile: 'app/db/generated.ts',
  includePattern: 'public.*',
  excludePattern: 'public.kysely_*',
  logLevel: 'error',
  customImports: Object.fromEntries(names.map(name => [name, '../states.ts'])),
  overrides: { columns },
}
