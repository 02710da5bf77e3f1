using System.Buffers;
using Microsoft.Win32.SafeHandles;
using static Whatsit.Vips.Native;

namespace Whatsit.Vips;

/// <summary>One libvips operation: made by name, given its properties, built into an image.</summary>
public sealed unsafe class VipsOperation : SafeHandleZeroOrMinusOneIsInvalid
{
    private readonly string _name;
    private MemoryHandle _pinned;
    private VipsImage? _input;

    /// <param name="name">As <c>vips -l</c> lists it, for example <c>jpegload_buffer</c>.</param>
    /// <exception cref="VipsException">There is no such operation in this build of the library.</exception>
    public VipsOperation(string name)
        : base(ownsHandle: true)
    {
        VipsLibrary.EnsureStarted();
        _name = name;
        SetHandle(vips_operation_new(name));
        if (IsInvalid)
        {
            throw new VipsException(name);
        }
    }

    /// <summary>Sets a whole number or, by its number, a member of an enumeration.</summary>
    public VipsOperation Set(string property, int number)
    {
        GValue value = default;
        g_value_init(&value, TypeInt);
        g_value_set_int(&value, number);
        return SetAndUnset(property, &value);
    }

    /// <summary>Sets a number.</summary>
    public VipsOperation Set(string property, double number)
    {
        GValue value = default;
        g_value_init(&value, TypeDouble);
        g_value_set_double(&value, number);
        return SetAndUnset(property, &value);
    }

    /// <summary>Sets a flag.</summary>
    public VipsOperation Set(string property, bool flag)
    {
        GValue value = default;
        g_value_init(&value, TypeBoolean);
        g_value_set_boolean(&value, flag ? 1 : 0);
        return SetAndUnset(property, &value);
    }

    /// <summary>Sets a text.</summary>
    public VipsOperation Set(string property, string text)
    {
        GValue value = default;
        g_value_init(&value, TypeString);
        g_value_set_string(&value, text);
        return SetAndUnset(property, &value);
    }

    /// <summary>Sets a list of numbers.</summary>
    public VipsOperation Set(string property, ReadOnlySpan<double> numbers)
    {
        GValue value = default;
        g_value_init(&value, vips_array_double_get_type());
        fixed (double* array = numbers)
        {
            vips_value_set_array_double(&value, array, numbers.Length);
        }

        return SetAndUnset(property, &value);
    }

    /// <summary>Sets the bytes to read from. They are not copied: they stay pinned until the image that is built from them is disposed.</summary>
    public VipsOperation Set(string property, ReadOnlyMemory<byte> bytes)
    {
        _pinned = bytes.Pin();
        var blob = vips_blob_new(0, _pinned.Pointer, (nuint)bytes.Length);
        GValue value = default;
        g_value_init(&value, vips_blob_get_type());
        g_value_set_boxed(&value, blob);
        vips_area_unref(blob);
        return SetAndUnset(property, &value);
    }

    /// <summary>Sets the image to work on, which then lives as long as the one that is built.</summary>
    public VipsOperation Set(string property, VipsImage image)
    {
        _input = image;
        GValue value = default;
        g_value_init(&value, vips_image_get_type());
        g_value_set_object(&value, image);
        return SetAndUnset(property, &value);
    }

    /// <summary>Builds the operation and gives its output image. Pixels are computed when they are asked for.</summary>
    /// <exception cref="VipsException">The operation refused its input.</exception>
    public VipsImage Build()
    {
        // Not vips_cache_operation_build: the cache is off, and looking into it takes a lock.
        if (vips_object_build(this) != 0)
        {
            throw new VipsException(_name);
        }

        GValue value = default;
        g_value_init(&value, vips_image_get_type());
        g_object_get_property(this, "out", &value);
        var image = g_object_ref(g_value_get_object(&value));
        g_value_unset(&value);
        var pinned = _pinned;
        _pinned = default;
        return new VipsImage(image, pinned, _input);
    }

    /// <summary>Builds an operation that writes a file, and gives the file.</summary>
    /// <exception cref="VipsException">The operation refused its input.</exception>
    public byte[] BuildFile()
    {
        if (vips_object_build(this) != 0)
        {
            throw new VipsException(_name);
        }

        GValue value = default;
        g_value_init(&value, vips_blob_get_type());
        g_object_get_property(this, "buffer", &value);
        nuint length;
        var data = vips_blob_get(g_value_get_boxed(&value), &length);
        var file = new ReadOnlySpan<byte>(data, checked((int)length)).ToArray();
        g_value_unset(&value);
        return file;
    }

    /// <inheritdoc/>
    protected override bool ReleaseHandle()
    {
        vips_object_unref_outputs(handle);
        g_object_unref(handle);
        _pinned.Dispose();
        return true;
    }

    private VipsOperation SetAndUnset(string property, GValue* value)
    {
        g_object_set_property(this, property, value);
        g_value_unset(value);
        return this;
    }
}
