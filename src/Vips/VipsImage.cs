using System.Buffers;
using Microsoft.Win32.SafeHandles;
using static Whatsit.Vips.Native;

namespace Whatsit.Vips;

/// <summary>Takes a strip of pixels; <paramref name="rows"/> is only valid during the call.</summary>
/// <param name="top">The strip's first row.</param>
/// <param name="rows">Its samples, rows without padding.</param>
public delegate void StripAction(int top, ReadOnlySpan<byte> rows);

/// <summary>An image whose pixels are computed, from top to bottom, when they are read.</summary>
public sealed unsafe class VipsImage : SafeHandleZeroOrMinusOneIsInvalid
{
    /// <summary>
    /// Rows per step. Loaders work in strips of 8 or 16 rows; asking for more at once makes them keep more, asking for less costs calls.
    /// </summary>
    public const int RowsPerStrip = 16;

    private readonly VipsImage? _input;
    private MemoryHandle _pinned;

    internal VipsImage(nint image, MemoryHandle pinned, VipsImage? input)
        : base(ownsHandle: true)
    {
        SetHandle(image);
        _pinned = pinned;

        // The native image holds the one that it is computed from, but not the bytes that we pinned for it.
        var added = false;
        input?.DangerousAddRef(ref added);
        _input = input;
    }

    /// <summary>An image of pixels that are there already. They are not copied: they stay pinned until it is disposed.</summary>
    /// <param name="rgb">Width × height × 3 bytes.</param>
    /// <param name="width">Pixels per row.</param>
    /// <param name="height">Rows.</param>
    public static VipsImage FromRgb(ReadOnlyMemory<byte> rgb, int width, int height)
    {
        const int Bands = 3;
        ArgumentOutOfRangeException.ThrowIfLessThan(rgb.Length, checked(width * height * Bands));
        VipsLibrary.EnsureStarted();
        var pinned = rgb.Pin();
        var image = vips_image_new_from_memory(pinned.Pointer, (nuint)rgb.Length, width, height, Bands, VipsBandFormat.UChar);
        if (image == 0)
        {
            pinned.Dispose();
            throw new VipsException("No image");
        }

        return new VipsImage(image, pinned, null);
    }

    /// <summary>Pixels per row.</summary>
    public int Width => vips_image_get_width(this);

    /// <summary>Rows.</summary>
    public int Height => vips_image_get_height(this);

    /// <summary>Samples per pixel.</summary>
    public int Bands => vips_image_get_bands(this);

    /// <summary>The type of one sample.</summary>
    public VipsBandFormat Format => vips_image_get_format(this);

    /// <summary>What the samples mean.</summary>
    public VipsInterpretation Interpretation => vips_image_get_interpretation(this);

    /// <summary>Whether the last band is transparency.</summary>
    public bool HasAlpha => vips_image_hasalpha(this) != 0;

    /// <summary>A number among the metadata, or <see langword="null"/>.</summary>
    public int? GetInt(string name)
    {
        int value;
        return vips_image_get_typeof(this, name) != 0 && vips_image_get_int(this, name, &value) == 0 ? value : null;
    }

    /// <summary>Bytes among the metadata, valid as long as the image; empty where there are none.</summary>
    public ReadOnlySpan<byte> GetBlob(string name)
    {
        void* data;
        nuint length;
        return vips_image_get_typeof(this, name) != 0 && vips_image_get_blob(this, name, &data, &length) == 0
            ? new ReadOnlySpan<byte>(data, checked((int)length))
            : [];
    }

    /// <summary>Puts a copy of bytes among the metadata.</summary>
    public void SetBlob(string name, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* data = bytes)
        {
            vips_image_set_blob_copy(this, name, data, (nuint)bytes.Length);
        }
    }

    /// <summary>Computes all pixels straight into <paramref name="destination"/>: rows without padding, samples as the image has them.</summary>
    /// <param name="destination">Room for all of them.</param>
    /// <param name="cancellationToken">Stops it after the strip under way.</param>
    /// <exception cref="VipsException">The file turned out to be damaged.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public void CopyTo(Span<byte> destination, CancellationToken cancellationToken = default) =>
        Read(destination, Height, RowsPerStrip, null, cancellationToken);

    /// <summary>Computes the pixels strip by strip, so that no more than one strip of them is in memory.</summary>
    /// <param name="strip">Room for <see cref="RowsPerStrip"/> rows, overwritten by each strip.</param>
    /// <param name="action">Called with each strip.</param>
    /// <param name="cancellationToken">Stops it after the strip under way.</param>
    /// <exception cref="VipsException">The file turned out to be damaged.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public void ReadStrips(Span<byte> strip, StripAction action, CancellationToken cancellationToken = default) =>
        Read(strip, Math.Min(RowsPerStrip, Height), RowsPerStrip, action, cancellationToken);

    /// <summary>Computes all pixels for nothing but to see that they can be had.</summary>
    /// <param name="step">Rows that are asked for at once.</param>
    /// <param name="cancellationToken">Stops it after those under way.</param>
    /// <exception cref="VipsException">The file turned out to be damaged.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public void Check(int step = RowsPerStrip, CancellationToken cancellationToken = default)
    {
        var strip = ArrayPool<byte>.Shared.Rent(checked(Width * Bands * sizeof(ushort) * step));
        try
        {
            Read(strip, Math.Min(step, Height), step, static (_, _) => { }, cancellationToken);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(strip);
        }
    }

    /// <summary>As <see cref="Check"/>, to see at which row the loader first complains.</summary>
    /// <param name="step">Rows that are asked for at once.</param>
    /// <param name="cancellationToken">Stops it after those under way.</param>
    /// <returns>The first row of those that could not be had; the height where there are none.</returns>
    public int FirstComplaint(int step, CancellationToken cancellationToken)
    {
        try
        {
            Check(step, cancellationToken);
            return Height;
        }
        catch (VipsException e) when (e.RowsRead is { } rows)
        {
            return rows;
        }
    }

    // vips_image_write and its like start a thread pool and let one of its threads fill a buffer; for a small picture that costs as much as
    // decoding it. Asking for the regions ourselves stays on this thread and lets the last step write where the pixels shall be.
    private void Read(Span<byte> destination, int rows, int step, StripAction? action, CancellationToken cancellationToken)
    {
        // Between strips the token is asked; within one, where a loader reads the whole file for the first row, the library asks the image.
        using var registration = cancellationToken.UnsafeRegister(static image => ((VipsImage)image!).Stop(), this);
        var rowBytes = checked(Width * Bands * (Format == VipsBandFormat.UChar ? 1 : 2));
        ArgumentOutOfRangeException.ThrowIfLessThan(destination.Length, checked(rows * rowBytes));
        fixed (byte* pixels = destination)
        {
            nint source = 0, target = 0, window = 0;
            try
            {
                var rect = new VipsRect(0, 0, Width, rows);
                if ((source = vips_region_new(this)) == 0
                    || (target = vips_image_new_from_memory(pixels, (nuint)rows * (nuint)rowBytes, Width, rows, Bands, Format)) == 0
                    || (window = vips_region_new(target)) == 0
                    || vips_region_image(window, &rect) != 0)
                {
                    throw new VipsException("No region");
                }

                var height = Height;
                for (var top = 0; top < height; top += step)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    var wanted = new VipsRect(0, top, Width, Math.Min(step, height - top));
                    if (vips_region_prepare_to(source, window, &wanted, 0, action is null ? top : 0) != 0)
                    {
                        var failure = new VipsException("Reading pixels") { RowsRead = top };
                        cancellationToken.ThrowIfCancellationRequested();
                        throw failure;
                    }

                    action?.Invoke(top, destination[..(wanted.Height * rowBytes)]);
                }
            }
            finally
            {
                Release(window);
                Release(target);
                Release(source);
            }
        }
    }

    private void Stop()
    {
        var added = false;
        try
        {
            DangerousAddRef(ref added);
            vips_image_set_kill(handle, 1);
        }
        catch (ObjectDisposedException)
        {
            // Read to its end meanwhile.
        }
        finally
        {
            if (added)
            {
                DangerousRelease();
            }
        }
    }

    /// <inheritdoc/>
    protected override bool ReleaseHandle()
    {
        g_object_unref(handle);
        _pinned.Dispose();
        _input?.DangerousRelease();
        return true;
    }

    private static void Release(nint @object)
    {
        if (@object != 0)
        {
            g_object_unref(@object);
        }
    }
}
