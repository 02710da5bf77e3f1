using System.Reflection;
using System.Runtime.InteropServices;

namespace Whatsit.Vips;

/// <summary>The part of libvips' and GLib's C API that we use: the headers with .NET types and nothing else.</summary>
/// <remarks>
/// https://www.libvips.org/API/current/binding.html: a binding makes GObject operations and sets their properties. The variadic functions
/// (<c>vips_jpegload_buffer (…, NULL)</c>) cannot be called portably from .NET: variadic arguments are passed differently on Apple arm64.
/// </remarks>
internal static unsafe partial class Native
{
    private const string Library = "vips";

    static Native() => NativeLibrary.SetDllImportResolver(typeof(Native).Assembly, Resolve);

    // GType of the fundamental types: glib/gobject/gtype.h, G_TYPE_MAKE_FUNDAMENTAL (n) = n << 2.
    public const nuint TypeBoolean = 5 << 2;
    public const nuint TypeInt = 6 << 2;
    public const nuint TypeDouble = 15 << 2;
    public const nuint TypeString = 16 << 2;

    /// <summary>glib/gobject/gvalue.h: a type and room for two 64-bit values; zero means not initialised.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct GValue
    {
        public nuint Type;
        public long Data0;
        public long Data1;
    }

    /// <summary>libvips/include/vips/rect.h</summary>
    [StructLayout(LayoutKind.Sequential)]
    public record struct VipsRect(int Left, int Top, int Width, int Height);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int vips_init(string argv0);

    [LibraryImport(Library)]
    public static partial int vips_version(int flag);

    [LibraryImport(Library)]
    public static partial void vips_concurrency_set(int concurrency);

    [LibraryImport(Library)]
    public static partial void vips_cache_set_max(int max);

    [LibraryImport(Library)]
    public static partial void vips_cache_set_max_mem(nuint maxMem);

    [LibraryImport(Library)]
    public static partial void vips_cache_set_max_files(int maxFiles);

    [LibraryImport(Library)]
    public static partial void vips_block_untrusted_set(int state);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial void vips_operation_block_set(string name, int state);

    [LibraryImport(Library)]
    public static partial byte* vips_error_buffer_copy();

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint vips_operation_new(string name);

    [LibraryImport(Library)]
    public static partial int vips_object_build(VipsOperation operation);

    [LibraryImport(Library)]
    public static partial void vips_object_unref_outputs(nint @object);

    [LibraryImport(Library)]
    public static partial nuint vips_image_get_type();

    [LibraryImport(Library)]
    public static partial nuint vips_blob_get_type();

    [LibraryImport(Library)]
    public static partial nuint vips_array_double_get_type();

    [LibraryImport(Library)]
    public static partial nint vips_blob_new(nint freeFunction, void* data, nuint length);

    [LibraryImport(Library)]
    public static partial void* vips_blob_get(nint blob, nuint* length);

    [LibraryImport(Library)]
    public static partial void vips_area_unref(nint area);

    [LibraryImport(Library)]
    public static partial void vips_value_set_array_double(GValue* value, double* array, int n);

    [LibraryImport(Library)]
    public static partial int vips_image_get_width(VipsImage image);

    [LibraryImport(Library)]
    public static partial int vips_image_get_height(VipsImage image);

    [LibraryImport(Library)]
    public static partial int vips_image_get_bands(VipsImage image);

    [LibraryImport(Library)]
    public static partial VipsBandFormat vips_image_get_format(VipsImage image);

    [LibraryImport(Library)]
    public static partial VipsInterpretation vips_image_get_interpretation(VipsImage image);

    [LibraryImport(Library)]
    public static partial int vips_image_hasalpha(VipsImage image);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nuint vips_image_get_typeof(VipsImage image, string name);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int vips_image_get_int(VipsImage image, string name, int* value);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int vips_image_get_blob(VipsImage image, string name, void** data, nuint* length);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial void vips_image_set_blob_copy(VipsImage image, string name, void* data, nuint length);

    [LibraryImport(Library)]
    public static partial nint vips_image_new_from_memory(void* data, nuint size, int width, int height, int bands, VipsBandFormat format);

    [LibraryImport(Library)]
    public static partial void vips_image_set_kill(nint image, int kill);

    [LibraryImport(Library)]
    public static partial nint vips_region_new(VipsImage image);

    [LibraryImport(Library)]
    public static partial nint vips_region_new(nint image);

    [LibraryImport(Library)]
    public static partial int vips_region_image(nint region, VipsRect* rect);

    [LibraryImport(Library)]
    public static partial int vips_region_prepare_to(nint region, nint destination, VipsRect* rect, int x, int y);

    [LibraryImport(Library)]
    public static partial void vips_add_option_entries(nint optionGroup);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint g_option_group_new(string name, string description, string help, nint userData, nint destroy);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint g_option_context_new(string? parameters);

    [LibraryImport(Library)]
    public static partial void g_option_context_set_main_group(nint context, nint group);

    [LibraryImport(Library)]
    public static partial int g_option_context_parse(nint context, int* argc, byte*** argv, nint error);

    [LibraryImport(Library)]
    public static partial void g_option_context_free(nint context);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial uint g_log_set_handler(string domain, int levels, delegate* unmanaged<byte*, int, byte*, void*, void> handler, void* data);

    [LibraryImport(Library)]
    public static partial nint g_object_ref(nint @object);

    [LibraryImport(Library)]
    public static partial void g_object_unref(nint @object);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial void g_object_set_property(VipsOperation @object, string name, GValue* value);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial void g_object_get_property(VipsOperation @object, string name, GValue* value);

    [LibraryImport(Library)]
    public static partial GValue* g_value_init(GValue* value, nuint type);

    [LibraryImport(Library)]
    public static partial void g_value_unset(GValue* value);

    [LibraryImport(Library)]
    public static partial void g_value_set_boolean(GValue* value, int boolean);

    [LibraryImport(Library)]
    public static partial void g_value_set_int(GValue* value, int number);

    [LibraryImport(Library)]
    public static partial void g_value_set_double(GValue* value, double number);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial void g_value_set_string(GValue* value, string text);

    [LibraryImport(Library)]
    public static partial void g_value_set_boxed(GValue* value, nint boxed);

    [LibraryImport(Library)]
    public static partial nint g_value_get_boxed(GValue* value);

    [LibraryImport(Library)]
    public static partial void g_value_set_object(GValue* value, VipsImage image);

    [LibraryImport(Library)]
    public static partial nint g_value_get_object(GValue* value);

    [LibraryImport(Library)]
    public static partial void g_free(void* memory);

    /// <summary>
    /// The library that was named, or the one that was shipped; where none was, the system's own does as well. GLib's symbols are looked up in the same
    /// handle: the shipped build contains them, and of others the system's loader looks through what they are linked with.
    /// </summary>
    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? searchPath)
    {
        if (name != Library)
        {
            return 0;
        }

        if (VipsFile.Path is { Length: > 0 } named)
        {
            return NativeLibrary.TryLoad(named, out var other) && NativeLibrary.TryGetExport(other, nameof(vips_block_untrusted_set), out _)
                ? other
                : throw new DllNotFoundException($"{named} is no libvips of version 8.13 or later, or one of the libraries that it needs was not found.");
        }

        // The names of the ABI, https://www.libvips.org/API/current/: exact, or a plug-in beside the library would be loaded in its place. .NET looks in the
        // folders of NuGet's native files first (runtimes/<rid>/native, or beside the program where that was published for a platform), then on the system.
        var file = OperatingSystem.IsWindows() ? "libvips-42.dll" : OperatingSystem.IsMacOS() ? "libvips.42.dylib" : "libvips.so.42";
        return NativeLibrary.TryLoad(file, assembly, null, out var handle)
            ? handle
            : throw new DllNotFoundException(
                $"{file} was not found: add the package NetVips.Native.{RuntimeInformation.RuntimeIdentifier}, install libvips, or let ImageSharp decode " +
                $"(Decoding:Library).");
    }
}
