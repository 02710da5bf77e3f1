import { useState } from 'react';
import { Icon } from '../../components/Icon';
import { Label } from '../../components/Label';
import { serverUrl } from '../../engines/server-api';
import { useSpeech } from '../../texts';
import { languages, snippet } from './snippets';
import type { SnippetLanguage } from './snippets';

/** For those who want the answer without the page: the request just made, in their language. */
export default function Developers({ model, topK, file, answer }: { model: string; topK: number; file: string; answer: unknown }) {
  const { t } = useSpeech();
  const [language, setLanguage] = useState<SnippetLanguage>('curl');
  const [copied, setCopied] = useState(false);
  const code = snippet(language, { origin: new URL(serverUrl('/'), location.href).href.replace(/\/$/, ''), model, topK, file });
  return (
    <div className="developers">
      <div className="pitch">
        <h1>{t.developers.heading}</h1>
        <p>{t.developers.pitch}</p>
        <p><a className="button" href={serverUrl('/swagger')}><Icon name="code" />{t.nav.apiDocs}</a></p>
      </div>
      <Label title={t.developers.request} note={t.developers.requestNote}>
        <div className="tabs" role="group" aria-label={t.developers.language}>
          {languages.map((name) => (
            <button key={name} type="button" aria-pressed={name === language} onClick={() => { setLanguage(name); setCopied(false); }}>{name}</button>
          ))}
        </div>
        <pre className="code" tabIndex={0} aria-label={language}><code>{code}</code></pre>
        <div className="label-actions">
          <button type="button" className="button small" onClick={() => void navigator.clipboard.writeText(code).then(() => setCopied(true))}>
            <Icon name={copied ? 'check' : 'copy'} />{copied ? t.measure.copied : t.measure.copy}
          </button>
        </div>
      </Label>
      {answer !== undefined && (
        <Label title={t.developers.answer} note={t.developers.answerNote}>
          <pre className="code" tabIndex={0} aria-label={t.developers.answer}><code>{JSON.stringify(answer, null, 2)}</code></pre>
        </Label>
      )}
    </div>
  );
}
