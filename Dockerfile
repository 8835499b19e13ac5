# Ringback in one process. Its settings come from the environment (docs/operations.md).
FROM node:24-bookworm-slim AS install
WORKDIR /ringback
COPY package.json package-lock.json .npmrc ./
COPY scripts/check_node.cjs scripts/
# The only optional package is a compiler, for the types of another package.
RUN npm ci --omit=dev --omit=optional

FROM node:24-bookworm-slim
ENV NODE_ENV=production
WORKDIR /ringback
COPY package.json ./
COPY --from=install /ringback/node_modules node_modules
COPY sql sql
COPY app app
COPY tasks tasks
COPY scripts scripts
# The program may write only this folder. All other files belong to root, so the program cannot change them.
ENV NODE_COMPILE_CACHE=/ringback/compiled
RUN mkdir compiled && chown node compiled
USER node
# Compiles the code into that folder: without settings the program loads all its code, and then refuses to start. Node uses
# compiled code only for the same user and flags. So each new container starts in two thirds of the time.
RUN node --disable-proto=delete --no-allocation-site-pretenuring --max-semi-space-size=16 --min-semi-space-size=16 --heap-growing-percent=50 --expose-gc --max-old-space-size=256 app/main.ts 2>&1 | grep 'cannot start'
EXPOSE 3000
# Whether the process is alive. An outage of the database is no reason to restart it.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
  CMD ["node", "--eval", "fetch(`http://127.0.0.1:${process.env.PORT || 3000}/healthz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# No shell and no npm in between, so SIGTERM reaches the program. It stops within 24 seconds.
CMD ["node", "--disable-proto=delete", "--no-allocation-site-pretenuring", "--max-semi-space-size=16", "--min-semi-space-size=16", "--heap-growing-percent=50", "--expose-gc", "--max-old-space-size=256", "app/main.ts"]
