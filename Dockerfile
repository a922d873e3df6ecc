FROM node:24-alpine AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY build.mjs tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build

FROM node:24-alpine
ENV NODE_ENV=production
COPY --from=build /app/package.json /app/
COPY --from=build /app/dist/licenses.txt /app/dist/
COPY --from=build /app/dist/node/main.js /app/dist/node/
EXPOSE 9999
HEALTHCHECK --interval=10s --timeout=5s --retries=3 CMD ["node", "/app/dist/node/main.js", "healthcheck"]
ENTRYPOINT ["node", "--disable-sigusr1", "/app/dist/node/main.js"]
