# syntax=docker/dockerfile:1
# One image per program: docker build --target goma-gateway .
FROM golang:1.26 AS build
ARG VERSION=dev
ARG TARGETOS TARGETARCH
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath \
    -ldflags "-s -w -X gateway.jkaninda.dev/goma/internal/version.Version=$VERSION" \
    -o /out/ ./cmd/goma-gateway ./cmd/goma-k8s-provider ./cmd/goma-operator

FROM gcr.io/distroless/static-debian12:nonroot AS goma-gateway
COPY --from=build /out/goma-gateway /usr/local/bin/goma
COPY --from=build /out/goma-gateway /goma
EXPOSE 8080 8443
ENTRYPOINT ["/goma"]

FROM gcr.io/distroless/static-debian12:nonroot AS goma-k8s-provider
COPY --from=build /out/goma-k8s-provider /usr/local/bin/goma-k8s-provider
ENTRYPOINT ["/usr/local/bin/goma-k8s-provider"]

FROM gcr.io/distroless/static-debian12:nonroot AS goma-operator
COPY --from=build /out/goma-operator /manager
ENTRYPOINT ["/manager"]
