# The image of the service: compiled sources and production dependencies on a plain Node.js image, for any user without rights.
#
#   docker build -t flatline .
#
# The base is an exact version, the one that package.json develops with. To pin its bytes as well, give the digest that your
# registry shows for it:  --build-arg NODE_IMAGE=node:24.21.0-bookworm-slim@sha256:…
ARG NODE_IMAGE=node:24.21.0-bookworm-slim

# If a proxy replaces TLS certificates, pass the bundle that contains its authority; it is not stored in any layer:
#   docker build --secret id=ca,src=/etc/ssl/certs/ca-certificates.crt -t flatline .

# --- what building takes; also what the development profile of docker-compose.yml runs
FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN --mount=type=secret,id=ca --mount=type=cache,target=/root/.npm \
    if [ -f /run/secrets/ca ]; then export NODE_EXTRA_CA_CERTS=/run/secrets/ca; fi; \
    npm ci --ignore-scripts --no-audit --no-fund
COPY prisma.config.ts tsconfig.json tsconfig.build.json ./
COPY scripts/generate.mjs scripts/
COPY prisma prisma
COPY src src
RUN node scripts/generate.mjs && npm run build
COPY config config

# --- what running takes: neither the CLI of Prisma, an optional peer of its client, nor the embedded PostgreSQL, nor query
# compilers for other databases, nor types and source maps
FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json scripts/add-telemetry.mjs ./
# OpenTelemetry and Sentry are optional for who installs by npm; in the image a setting is enough to switch them on.
RUN --mount=type=secret,id=ca --mount=type=cache,target=/root/.npm \
    if [ -f /run/secrets/ca ]; then export NODE_EXTRA_CA_CERTS=/run/secrets/ca; fi; \
    node add-telemetry.mjs && npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund
# A bill of materials of what is really there: with --omit=dev it would miss what development needs as well.
RUN npm pkg delete devDependencies optionalDependencies && npm sbom --sbom-format=cyclonedx > sbom.cdx.json && \
    find node_modules -type f '(' -name '*.map' -o -name '*.ts' -o -name '*.mts' -o -name '*.cts' ')' -delete && \
    find node_modules/@prisma/client/runtime -name 'query_compiler_*' ! -name 'query_compiler_small_bg.postgresql.*mjs' -delete && \
    rm -rf node_modules/.bin && \
    find node_modules -depth -type d -empty -delete

FROM ${NODE_IMAGE}
ARG NODE_IMAGE
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="Flatline" \
      org.opencontainers.image.description="Heartbeat monitoring: alerts when something that should keep happening stops happening" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.source="https://github.com/flatline/flatline" \
      org.opencontainers.image.documentation="https://github.com/flatline/flatline/blob/main/README.md" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="${NODE_IMAGE}"
ENV NODE_ENV=production \
    DEPLOYMENT_ENV=docker \
    DATA_DIR=/data
# Nothing installs packages at run time, and nothing gains rights. DATA_DIR is the only directory that the service writes to.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack \
           /usr/local/bin/yarn /usr/local/bin/yarnpkg /opt/yarn-* && \
    find / -xdev -type f -perm /6000 -exec chmod a-s '{}' + && \
    install -d -o 1000 -g 1000 -m 700 /data && \
    ln -s /app/bin/flatline.js /usr/local/bin/flatline
WORKDIR /app
COPY package.json LICENSE ./
COPY bin bin
COPY config config
COPY prisma/migrations prisma/migrations
COPY --from=dependencies /app/sbom.cdx.json ./
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
USER 1000:1000
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=3s --start-period=40s --retries=3 \
    CMD ["node", "dist/cli.js", "healthcheck"]
# The base's own entry point is a shell script; Node.js is to be process 1 and to get the signals.
ENTRYPOINT []
CMD ["node", "dist/server.js"]
