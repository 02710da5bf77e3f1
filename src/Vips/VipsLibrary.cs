using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Whatsit.Vips;

/// <summary>The library as a whole: started once per process, set up for a server that decodes what strangers send.</summary>
public static class VipsLibrary
{
    private static readonly Version LoadedVersion = Start();

    /// <summary>The version of the library that was loaded.</summary>
    public static Version Version => LoadedVersion;

    internal static void EnsureStarted() => RuntimeHelpers.RunClassConstructor(typeof(VipsLibrary).TypeHandle);

    private static unsafe Version Start()
    {
        if (Native.vips_init("whatsit") != 0)
        {
            throw new VipsException("libvips did not start");
        }

        // Every request brings another picture: a cache of operations would only hold memory.
        Native.vips_cache_set_max(0);
        Native.vips_cache_set_max_mem(0);
        Native.vips_cache_set_max_files(0);

        // The server runs one decode per core already; threads inside a decode would only switch contexts.
        Native.vips_concurrency_set(1);

        // Loaders keep their rows in a cache sized for reading in tiles of 128 rows, for operations that need not go from top to bottom. Ours do.
        // A cache of a few rows takes a sixth off the time of a small JPEG and megabytes off a large one. There is only a command-line option for it.
        SetOption("--vips-tile-height=8"u8);

        // Loaders that were not written for hostile input are off, and so is every one that we do not use.
        // https://www.libvips.org/API/current/func.block_untrusted_set.html
        Native.vips_block_untrusted_set(1);
        Native.vips_operation_block_set("VipsForeignLoad", 1);
        foreach (var loader in (string[])["Jpeg", "Png", "Webp", "Nsgif", "Heif", "Tiff"])
        {
            Native.vips_operation_block_set("VipsForeignLoad" + loader, 0);
        }

        // A damaged picture is a client's mistake and goes into the answer, not to our standard error.
        const int WarningMessageInfoDebug = 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7;
        Native.g_log_set_handler("VIPS", WarningMessageInfoDebug, &Ignore, null);

        return new Version(Native.vips_version(0), Native.vips_version(1), Native.vips_version(2));
    }

    private static unsafe void SetOption(ReadOnlySpan<byte> option)
    {
        var group = Native.g_option_group_new("vips", "", "", 0, 0);
        Native.vips_add_option_entries(group);
        var context = Native.g_option_context_new(null);
        Native.g_option_context_set_main_group(context, group);
        fixed (byte* name = "whatsit\0"u8, value = option)
        {
            var arguments = stackalloc byte*[] { name, value, null };
            var count = 2;
            if (Native.g_option_context_parse(context, &count, &arguments, 0) == 0)
            {
                throw new VipsException("The library does not know the option");
            }
        }

        Native.g_option_context_free(context);
    }

    [UnmanagedCallersOnly]
    private static unsafe void Ignore(byte* domain, int level, byte* message, void* data)
    {
    }
}
