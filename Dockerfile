FROM node:26-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY scripts/build.js scripts/globals.js scripts/
COPY src src
# The image has its own Node, so that the pinned one among the optional dependencies is not needed.
RUN npm run build && npm ci --omit=dev --omit=optional --ignore-scripts

FROM node:26-slim
# Two arenas: the many of the C library keep what V8's threads took for a moment (docs/performance-log.md, "Memory").
ENV NODE_ENV=production MALLOC_ARENA_MAX=2 OPENSSL_CONF=/app/conf/openssl.cnf
WORKDIR /app
COPY package.json LICENSE ./
COPY bin bin
COPY conf conf
COPY plugins plugins
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
# The user node, by number: Kubernetes' runAsNonRoot looks up no names.
USER 1000
EXPOSE 8443 9901
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["node", "bin/healthcheck.js"]
ENTRYPOINT ["node", "--disable-sigusr1", "bin/sallyport.js"]
CMD ["run"]
