-- What is no longer needed goes: raw records and texts after RETENTION_DAYS, everything about a person who asks for it.

-- A conversation outlives the person it was with, so that what was sent stays counted and is never sent again.
-- Null = she was erased.
alter table lead_conversations alter column lead_id drop not null;

-- What can still be emptied, the oldest first. What has been is in none of them, so that looking costs next to
-- nothing however much has been stored.
create index raw_cdrs_full on raw_cdrs (received_at) where payload is not null;
create index rejected_deliveries_full on rejected_deliveries (received_at) where body is not null;
create index whatsapp_events_full on whatsapp_events (received_at) where payload is not null;
create index messages_full on messages (created_at) where text is not null;
create index call_log_checks_by_time on call_log_checks (checked_at);
