using System.Runtime.InteropServices;
using System.Text.Json;
using Whatsit.Inference.Backends;
using Whatsit.Inference.Memory;
using Whatsit.Vips;

namespace Whatsit.Inference.Imaging.Isolation;

/// <summary>
/// A process that only decodes pictures, for <see cref="DecodingOptions.Isolation"/>: what a picture does to it, it does not do to the server. It is the
/// server's own program, started once more.
/// <code>
///   server ── the file, in shared memory ──► decoder process ── the pixels, in the same memory ──► server
///          ── a line of JSON on stdin ─────►                 ── a line of JSON on stdout ────────►
/// </code>
/// The operating system holds it to what the picture's header lets expect: memory by RLIMIT_DATA, processor time by RLIMIT_CPU (man 2 setrlimit). Its
/// environment has none of the server's secrets.
/// </summary>
public static class DecoderProcess
{
    /// <summary>Set for a process that is to be one.</summary>
    internal const string Marker = "WHATSIT_DECODER_PROCESS";

    // Linux, uapi/asm-generic/resource.h; the same on x64 and arm64
    private const int CpuTime = 0, Data = 2, Core = 4;

    // Stacks, code that is compiled meanwhile, the collector's room.
    private const long Slack = 128 << 20;

    /// <summary>
    /// The first thing that a program does which serves with <see cref="DecodingOptions.Isolation"/>: where it was started as a decoder process, it is one until
    /// the server ends.
    /// </summary>
    /// <returns>Whether it was, and should now end.</returns>
    public static bool RunIfAsked()
    {
        if (Environment.GetEnvironmentVariable(Marker) is null)
        {
            return false;
        }

        // Whoever ends the server by Ctrl-C or by its group does not end the pictures that it still answers; it ends this process when it is done.
        PosixSignal[] signals = [PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGQUIT, PosixSignal.SIGHUP];
        var registrations = signals.Select(signal => PosixSignalRegistration.Create(signal, context => context.Cancel = true)).ToList();
        ResidentMemory.ShareHeaps();
        Limit(Core, 0);
        using var input = new StreamReader(Console.OpenStandardInput());
        using var output = new StreamWriter(Console.OpenStandardOutput()) { AutoFlush = true, NewLine = "\n" };
        Run(input, output);
        registrations.ForEach(registration => registration.Dispose());
        return true;
    }

    private static void Run(StreamReader input, StreamWriter output)
    {
        if (input.ReadLine() is not { } first)
        {
            return;
        }

        var start = JsonSerializer.Deserialize(first, DecoderJson.Default.DecoderStart)!;
        VipsFile.Path = start.Options.LibvipsPath;
        var decoder = ImageDecoders.Create(start.Options);
        using var memory = SharedMemory.Open(start.Memory);
        output.WriteLine(JsonSerializer.Serialize(new DecoderReady(decoder.Reads), DecoderJson.Default.DecoderReady));
        // With what large pictures leave, the heap's freed pages go back as well.
        BufferPool.Shared.GaveBack += _ => ResidentMemory.Trim();
        while (input.ReadLine() is { } line)
        {
            var request = JsonSerializer.Deserialize(line, DecoderJson.Default.DecoderRequest)!;
            Limit(Data, DataNow() + request.Bytes + Slack);
            Limit(CpuTime, (long)Environment.CpuUsage.TotalTime.TotalSeconds + start.Seconds + 1);
            output.WriteLine(JsonSerializer.Serialize(Decode(decoder, memory, request), DecoderJson.Default.DecoderAnswer));
        }
    }

    private static DecoderAnswer Decode(IImageDecoder decoder, SharedMemory memory, DecoderRequest request)
    {
        try
        {
            memory.See(request.Capacity);
            // A copy of the small file, for the pixels take its place.
            var file = memory.Reserve(request.Length).ToArray();
            using var picture = decoder.Decode(file, request.ShrinkWidth > 0 ? (request.ShrinkWidth, request.ShrinkHeight) : null);
            picture.Pixels.CopyTo(memory.Reserve(picture.Pixels.Length));
            return new()
            {
                Capacity = memory.Capacity,
                Width = picture.Width,
                Height = picture.Height,
                OriginalWidth = picture.OriginalWidth,
                OriginalHeight = picture.OriginalHeight,
                Format = picture.Format,
                Warnings = picture.Warnings,
            };
        }
        catch (InferenceException exception)
        {
            return new()
            {
                Capacity = memory.Capacity,
                Error = exception.Error,
                Refusal = new(exception.Code, exception.Message, exception.Parameters),
            };
        }
    }

    /// <summary>Writable memory of the process, touched or not: the sixth of man 5 proc_pid_statm, in pages.</summary>
    private static long DataNow() => long.Parse(File.ReadAllText("/proc/self/statm").Split(' ')[5]) * Environment.SystemPageSize;

    private static void Limit(int resource, long most)
    {
        if (SetLimit(resource, new Limits(most, Core == resource ? most : -1)) != 0)
        {
            throw new IOException($"setrlimit failed: {Marshal.GetLastPInvokeErrorMessage()}.");
        }
    }

    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    [DllImport("libc", EntryPoint = "setrlimit", SetLastError = true)]
    private static extern int SetLimit(int resource, in Limits limits);

    /// <summary>What holds now, and how far it may be raised; -1 is no limit.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private readonly record struct Limits(long Soft, long Hard);
}
