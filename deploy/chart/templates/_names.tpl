{{- define "goma.fullname" -}}
{{- $name := .Values.fullnameOverride | default (contains "goma-operator" .Release.Name | ternary .Release.Name (printf "%s-goma-operator" .Release.Name)) -}}
{{- if gt (len $name) 28 -}}
{{- fail (printf "the name %q is longer than 28 characters, too long for what is put behind it: set fullnameOverride" $name) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{- define "goma.manager" -}}
{{- include "goma.fullname" . }}-controller-manager
{{- end -}}

{{- define "goma.account" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "goma.manager" .) -}}
{{- else -}}
{{- required "serviceAccount.name: name the account that is there, since serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "goma.labels" -}}
app.kubernetes.io/name: goma-operator
app.kubernetes.io/part-of: goma-gateway
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- /* A selector cannot be changed, so it is that of all releases. */ -}}
{{- define "goma.selector" -}}
app.kubernetes.io/name: goma-operator
control-plane: controller-manager
{{- end -}}

{{- /* An image: (list $ .Values.image). */ -}}
{{- define "goma.image" -}}
{{- $root := index . 0 -}}
{{- with index . 1 -}}
{{- if .digest -}}
{{- .repository }}@{{ .digest -}}
{{- else -}}
{{- .repository }}:{{ .tag | default $root.Chart.AppVersion -}}
{{- end -}}
{{- end -}}
{{- end -}}
