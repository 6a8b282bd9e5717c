# Drawbridge in a container. `docs/containers.md` says how to build, run, watch and upgrade it.
#
#   docker build -t drawbridge .                             CPU; amd64 and arm64
#   docker build -t drawbridge:cuda --build-arg VARIANT=cuda .    NVIDIA GPUs, driver 580 or newer (CUDA 13); amd64
#   docker build -t drawbridge:cuda12 --build-arg VARIANT=cuda12 .    older drivers (CUDA 12); amd64

ARG NODE_IMAGE=node:22-bookworm-slim
ARG CUDA_IMAGE=nvidia/cuda:13.0.1-runtime-ubuntu24.04
ARG CUDA12_IMAGE=nvidia/cuda:12.9.1-runtime-ubuntu24.04
ARG VARIANT=cpu

# JavaScript is the same for every platform, so the compiler runs on the builder's own, never under emulation. The
# bindings' binaries (optional dependencies) are not needed to compile.
FROM --platform=$BUILDPLATFORM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm \
    npm ci --omit=optional --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build

# What runs, for the target platform. Install scripts stay off: the only one is the bindings' own, which would test and
# perhaps compile llama.cpp here; the prebuilt binaries need neither.
FROM ${NODE_IMAGE} AS dependencies
ARG VARIANT
WORKDIR /app
COPY package.json package-lock.json docker/prune-bindings.mjs ./
RUN --mount=type=cache,target=/root/.npm \
    npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
    && node prune-bindings.mjs "$VARIANT" node_modules

# A static tini, so that the GPU images need no package manager run.
FROM ${NODE_IMAGE} AS tini
RUN apt-get update \
    && apt-get install -y --no-install-recommends tini \
    && cp /usr/bin/tini-static /usr/local/bin/tini

FROM ${NODE_IMAGE} AS base-cpu

FROM ${CUDA_IMAGE} AS base-cuda
COPY --from=dependencies /usr/local/bin/node /usr/local/bin/node

FROM ${CUDA12_IMAGE} AS base-cuda12
COPY --from=dependencies /usr/local/bin/node /usr/local/bin/node

FROM base-${VARIANT} AS runtime
LABEL org.opencontainers.image.title="Drawbridge" \
      org.opencontainers.image.description="Self-hosted, OpenAI-compatible inference server for GGUF models" \
      org.opencontainers.image.licenses="Apache-2.0"

COPY --from=tini /usr/local/bin/tini /usr/local/bin/tini
WORKDIR /app
# Rarely changed layers first. Everything belongs to root and is read-only for the server's user.
COPY --from=dependencies /app/node_modules ./node_modules
COPY models/demo ./models/demo
COPY package.json LICENSE ./
COPY docker/healthcheck.mjs ./docker/healthcheck.mjs
COPY --from=build /app/dist ./dist

# A volume that does not exist yet takes its owner and mode from these folders. `drawbridge` is for `docker exec`.
RUN mkdir -p /models /data \
    && chown 1000:1000 /models /data \
    && chmod 700 /data \
    && chmod 755 dist/src/cli/main.js \
    && ln -s /app/dist/src/cli/main.js /usr/local/bin/drawbridge
VOLUME ["/models", "/data"]

# In a container only a published port is reachable, so listen on all of its addresses. The server refuses to do that
# without an API key (DRAWBRIDGE_API_KEY, DRAWBRIDGE_API_KEY_FILE, or one in the database) unless DRAWBRIDGE_INSECURE_NO_AUTH=true.
# Keys and usage are in /data, and what the first start has measured.
ENV NODE_ENV=production \
    DRAWBRIDGE_HOST=0.0.0.0 \
    DRAWBRIDGE_PORT=8080 \
    DRAWBRIDGE_DATA_DIR=/data \
    XDG_CACHE_HOME=/data/cache
EXPOSE 8080

# By number, so that Kubernetes can see it is not root. 1000 is `node` in the Node image and `ubuntu` in the CUDA ones.
USER 1000:1000

# No curl in the image: Node asks. /health needs no key and answers while a model is still loading.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "/app/docker/healthcheck.mjs"]

# tini passes SIGTERM on and reaps orphans of an engine process that died; the server drains and exits 0.
ENTRYPOINT ["/usr/local/bin/tini", "--", "node", "/app/dist/src/cli/main.js"]
CMD ["serve"]
