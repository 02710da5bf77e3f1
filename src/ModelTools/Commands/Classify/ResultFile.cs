using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using Whatsit.Inference;
using Whatsit.ModelConversion.Formats;

namespace Whatsit.ModelTools.Commands.Classify;

/// <summary>
/// A file of answers that a run goes on with: what it holds is not asked again. Of a run that was ended in the middle of a line that line is cut off. What is
/// kept in memory is 16 bytes for each photo's name.
/// </summary>
internal sealed class ResultFile : IDisposable
{
    private readonly HashSet<UInt128> _answered = [];
    private readonly string _path;
    private readonly StreamWriter _writer;
    private (string? Name, string? Version) _model;

    /// <summary>Opens the file, or makes it.</summary>
    /// <param name="path">Where it lies.</param>
    /// <param name="isCsv">Its lines are comma-separated values; otherwise each is JSON.</param>
    /// <exception cref="IOException">It cannot be opened, or is no file of answers.</exception>
    public ResultFile(string path, bool isCsv)
    {
        _path = path;
        if (Path.GetDirectoryName(Path.GetFullPath(path)) is { } folder)
        {
            Directory.CreateDirectory(folder);
        }

        var file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
        try
        {
            file.SetLength(isCsv ? ReadCsv(file) : ReadJsonLines(file));
            file.Seek(0, SeekOrigin.End);
            IsNew = file.Length == 0;
            _writer = new StreamWriter(file, new UTF8Encoding(false)) { AutoFlush = true, NewLine = "\n" };
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Nothing stands in it yet.</summary>
    public bool IsNew { get; }

    /// <summary>How many photos it had answers to when it was opened.</summary>
    public int Answered => _answered.Count;

    /// <summary>Where answers are written: at its end, and each at once.</summary>
    public TextWriter Writer => _writer;

    /// <summary>Whether it had an answer to the photo when it was opened.</summary>
    public bool Has(string name) => _answered.Contains(HashOf(name));

    /// <summary>Refuses an answer of another model than that of the answers it had when it was opened, as far as they name one.</summary>
    /// <exception cref="RunStoppedException">It is another model's.</exception>
    public void Check(Classification answer)
    {
        if ((_model.Name ?? answer.Model, _model.Version ?? answer.Version) != (answer.Model, answer.Version))
        {
            throw new RunStoppedException($"'{_path}' has answers of the model {_model.Name} (version {_model.Version}), and {answer.Model} (version " +
                $"{answer.Version}) answers now: go on with the model of before, or name another file.");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _writer.Dispose();

    private static UInt128 HashOf(string name) => BinaryPrimitives.ReadUInt128BigEndian(Shard.HashOf(name));

    /// <summary>Remembers the answered photos, and the model of the last answer.</summary>
    /// <returns>Where the last whole answer ends.</returns>
    private long ReadJsonLines(Stream file)
    {
        var end = 0L;
        var number = 0;
        foreach (var line in Records(file, quotes: false))
        {
            number++;
            try
            {
                using var answer = JsonDocument.Parse(line);
                _answered.Add(HashOf(answer.RootElement.GetProperty("file").GetString()!));
                if (answer.RootElement.Member("model").Text() is { } model)
                {
                    _model = (model, answer.RootElement.Member("version").Text());
                }
            }
            catch (Exception exception) when (exception is JsonException or InvalidOperationException or KeyNotFoundException or ArgumentNullException)
            {
                throw new IOException($"'{_path}' is no file of answers to go on with: line {number} is no JSON with a member \"file\".", exception);
            }

            end += line.Length;
        }

        return end;
    }

    /// <summary>The same; a photo has several lines here, so the last one's are whole only if they are as many as others have.</summary>
    private long ReadCsv(Stream file)
    {
        var (position, begun, rows, usual) = (0L, 0L, 0, 0);
        var isError = false;
        string? last = null;
        foreach (var record in Records(file, quotes: true))
        {
            if (position == 0)
            {
                if (Encoding.UTF8.GetString(record.Span).TrimEnd() != CsvAnswers.Header)
                {
                    throw new IOException($"'{_path}' is no file of answers to go on with: its first line is not {CsvAnswers.Header}");
                }
            }
            else
            {
                var (name, rest) = FirstField(Encoding.UTF8.GetString(record.Span));
                if (name != last)
                {
                    Finish();
                    (last, begun, rows, isError) = (name, position, 0, rest.StartsWith(",,", StringComparison.Ordinal));
                }

                rows++;
            }

            position += record.Length;
        }

        if (last is not null && (isError || rows == usual))
        {
            Finish();
            return position;
        }

        return last is null ? position : begun;

        void Finish()
        {
            if (last is not null)
            {
                _answered.Add(HashOf(last));
                usual = isError ? usual : rows;
            }
        }
    }

    private static (string Name, string Others) FirstField(string record)
    {
        if (record is not ['"', ..])
        {
            var comma = record.IndexOf(',', StringComparison.Ordinal);
            return comma < 0 ? (record.TrimEnd(), "") : (record[..comma], record[comma..]);
        }

        var end = 1;
        while (end < record.Length && (record[end] != '"' || (end + 1 < record.Length && record[end + 1] == '"')))
        {
            end += record[end] == '"' ? 2 : 1;
        }

        return (record[1..end].Replace("\"\"", "\"", StringComparison.Ordinal), end + 1 < record.Length ? record[(end + 1)..] : "");
    }

    /// <summary>Whole lines, each with its end; where quotes count, a line end between two is none. What follows the last line end is none.</summary>
    private static IEnumerable<ReadOnlyMemory<byte>> Records(Stream file, bool quotes)
    {
        var buffer = new byte[1 << 16];
        var (start, length) = (0, 0);
        var (scanned, quoted) = (0, false);
        while (true)
        {
            for (; scanned < length; scanned++)
            {
                quoted ^= quotes && buffer[scanned] == '"';
                if (buffer[scanned] == '\n' && !quoted)
                {
                    yield return buffer.AsMemory(start, scanned + 1 - start);
                    start = scanned + 1;
                }
            }

            buffer.AsSpan(start, length - start).CopyTo(buffer);
            (length, scanned, start) = (length - start, scanned - start, 0);
            if (length == buffer.Length)
            {
                Array.Resize(ref buffer, 2 * buffer.Length);
            }

            var read = file.Read(buffer, length, buffer.Length - length);
            if (read == 0)
            {
                yield break;
            }

            length += read;
        }
    }
}
