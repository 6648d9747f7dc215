{{- define "kvittera.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "kvittera.labels" -}}
app.kubernetes.io/name: kvittera
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* One container of the image: nobody in particular, on a read-only disk. */}}
{{- define "kvittera.container" -}}
image: {{ include "kvittera.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
envFrom:
  - configMapRef: {name: {{ .Release.Name }}-settings}
env:
  - name: KVITTERA_INSTANCE
    valueFrom: {fieldRef: {fieldPath: metadata.name}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities: {drop: [ALL]}
volumeMounts:
  - {name: secrets, mountPath: /run/kvittera, readOnly: true}
  - {name: tmp, mountPath: /tmp}
  {{- if .Values.kafka.caSecret }}
  - {name: kafka-ca, mountPath: /run/kafka, readOnly: true}
  {{- end }}
  {{- if .Values.policies }}
  - {name: policies, mountPath: /run/policies, readOnly: true}
  {{- end }}
  {{- if .Values.surveys }}
  - {name: surveys, mountPath: /run/surveys, readOnly: true}
  {{- end }}
{{- end }}

{{- define "kvittera.pod" -}}
automountServiceAccountToken: false
{{- /* A Service named kvittera-… would put KVITTERA_… variables into each pod, which are no settings. */}}
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - {name: {{ . }}}
  {{- end }}
{{- end }}
securityContext: {runAsNonRoot: true, runAsUser: 10001, fsGroup: 10001, seccompProfile: {type: RuntimeDefault}}
volumes:
  - name: secrets
    secret: {secretName: {{ .Values.existingSecret }}, defaultMode: 0440}
  - {name: tmp, emptyDir: {}}
  {{- if .Values.kafka.caSecret }}
  - name: kafka-ca
    secret: {secretName: {{ .Values.kafka.caSecret }}}
  {{- end }}
  {{- with .Values.policies }}
  - name: policies
    configMap: {name: {{ . }}}
  {{- end }}
  {{- with .Values.surveys }}
  - name: surveys
    configMap: {name: {{ . }}}
  {{- end }}
{{- end }}
